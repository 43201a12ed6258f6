"""Scenes of the load generator in which many clients connect, leave, or are silent: storm, idle, catch-up."""

import re
import time
from collections.abc import Callable

from benchmarks.load_clients import POLL_SECONDS, LoadClient, LoadClients, Stage
from benchmarks.measure import (
    JOIN_SECONDS,
    QUIET_SECONDS,
    Job,
    MissingError,
    Result,
    Usage,
    Window,
    drops,
    join_all,
    recipients_per_message,
    wait_until_idle,
    wait_until_quiet,
)
from benchmarks.wire_formats import WIRE_FORMATS, message_text

RECEIVE_SECONDS = 30.0  # for all clients to receive a message
LEAVE_SECONDS = 30.0  # for all clients to be disconnected
MISSED_LINES = 1_000  # while a client was away
BATCH_LINES = 100


def _poll_until(clients: LoadClients, condition: Callable[[], bool], seconds: float) -> bool:
    """Read until `condition` is true, at most for `seconds`; return whether it is true."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        clients.poll(POLL_SECONDS)
    return condition()


def run_storm(job: Job) -> Result:
    """Measure all clients connecting at once, receiving one message, and leaving at once."""
    wire_format, usage = WIRE_FORMATS[job.wire_format], Usage(job.pid)
    threads = usage.threads()
    with LoadClients(job.address, wire_format) as clients:
        result = join_all(clients, job, usage)
        sender = clients.joined[0]
        clients.messages = 0
        start = time.monotonic()
        clients.send(sender, wire_format.encode_message(sender.room, message_text()))
        arrived = _poll_until(clients, lambda: clients.messages >= recipients_per_message(job), RECEIVE_SECONDS)
        result["to_all_seconds"] = time.monotonic() - start if arrived else None
        start = time.monotonic()
        for client in list(clients.joined):
            clients.leave(client)
        if _poll_until(clients, lambda: not clients.connected, LEAVE_SECONDS):
            wait_until_idle(usage)
            result["leave_seconds"] = time.monotonic() - start
        return result | {"threads_left": usage.threads() - threads} | drops(clients)


def run_idle(job: Job) -> Result:
    """Measure silent clients; it ends before a server pings them."""
    usage = Usage(job.pid)
    with LoadClients(job.address, WIRE_FORMATS[job.wire_format]) as clients:
        result = join_all(clients, job, usage)
        wait_until_idle(usage)
        window = Window(clients, usage)
        end = time.monotonic() + 2 * job.seconds
        while (left := end - time.monotonic()) > 0:
            clients.poll(left)
        return result | {"cpu_share": window.result(1)["cpu_share"]} | drops(clients)


class ReconnectingClients(LoadClients):
    """Load clients that lose their connections and resume their sessions."""

    _WELCOME = re.compile(rb"/welcome \S+ \S+ (\S+) ")

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, WIRE_FORMATS["hubbub"])
        self.tokens: dict[str, bytes] = {}

    def _advance_sign_in(self, client: LoadClient, data: bytes) -> None:
        if found := self._WELCOME.search(client.partial + data):
            self.tokens[client.name] = found[1]
        super()._advance_sign_in(client, data)

    def disconnect_all(self) -> None:
        """Close every connection without leaving."""
        for client in list(self.joined):
            self.close(client)

    def resume_all(self, seq: int) -> None:
        """Connect all again, then resume all sessions at once, with `seq` as the last line seen."""
        resuming = [self.connect(name, 0) for name in self.tokens]
        for client in resuming:
            client.stage = Stage.JOINED
        _poll_until(self, lambda: self.bytes >= len(b"/hello 1 -\n") * len(resuming), JOIN_SECONDS)
        self.messages = 0
        for client in resuming:
            self.send(client, b"/resume %b lobby %d\n" % (self.tokens[client.name], seq))


def _send_missed_lines(clients: LoadClients) -> None:
    """Send MISSED_LINES as one client, in batches. Raises MissingError."""
    clients.sign_in("sender", 0)
    _poll_until(clients, lambda: bool(clients.joined), JOIN_SECONDS)
    for sent in range(BATCH_LINES, MISSED_LINES + 1, BATCH_LINES):
        clients.send(clients.joined[0], clients.wire_format.encode_message(0, message_text()) * BATCH_LINES)
        _poll_until(clients, lambda sent=sent: clients.messages >= sent, RECEIVE_SECONDS)  # type: ignore[misc]
    wait_until_quiet(clients, QUIET_SECONDS)
    if clients.messages != MISSED_LINES:
        raise MissingError(f"{clients.messages} of {MISSED_LINES} lines were sent")


def run_catch_up(job: Job) -> Result:
    """Measure all clients reconnecting at once, each MISSED_LINES behind."""
    usage = Usage(job.pid)
    with ReconnectingClients(job.address) as clients, LoadClients(job.address, clients.wire_format) as senders:
        result = join_all(clients, job, usage)
        clients.disconnect_all()
        _send_missed_lines(senders)
        clients.bytes = 0
        clients.resume_all(0)
        start = time.monotonic()
        wanted = job.clients * MISSED_LINES
        if not _poll_until(clients, lambda: clients.messages >= wanted, RECEIVE_SECONDS):
            raise MissingError(f"{wanted - clients.messages} of {wanted} lines are missing after {RECEIVE_SECONDS:g} s")
        seconds = time.monotonic() - start
        return result | {"lines_per_second": wanted / seconds, "catch_up_seconds": seconds} | drops(clients)
