"""Scenes of the load generator in which many come, leave, or are silent: storm, idle, catch-up."""

import re
import time
from collections.abc import Callable

from benchmarks.load_clients import WAIT_SECONDS, Client, Crowd, Stage
from benchmarks.measure import (
    JOIN_SECONDS,
    LULL_SECONDS,
    Job,
    MissingError,
    Result,
    Usage,
    Window,
    enter,
    hearers,
    losses,
    settle,
)
from benchmarks.wire_formats import DIALECTS, text

HEAR_SECONDS = 30.0  # for everybody to have a message
LEAVE_SECONDS = 30.0  # for everybody to be gone
QUIET_CHECK_SECONDS = 0.1  # the server has worked off everything when it used no CPU for that long
PAST_LINES = 1_000  # that somebody missed who comes back
AT_ONCE_LINES = 100


def storm(job: Job) -> Result:
    """Let everybody come at once, hear one message, and leave at once."""
    dialect, usage = DIALECTS[job.dialect], Usage(job.pid)
    threads = usage.threads()
    with Crowd(job.address, dialect) as crowd:
        result = enter(crowd, job, usage)
        speaker = crowd.inside[0]
        crowd.messages = 0
        start = time.monotonic()
        crowd.say(speaker, dialect.say(speaker.room, text()))
        heard = _until(crowd, lambda: crowd.messages >= hearers(job), HEAR_SECONDS)
        result["to_all_seconds"] = time.monotonic() - start if heard else None
        start = time.monotonic()
        for client in list(crowd.inside):
            crowd.leave(client)
        if _until(crowd, lambda: not crowd.people, LEAVE_SECONDS):
            _wait_until_quiet(usage)
            result["leave_seconds"] = time.monotonic() - start
        return result | {"threads_left": usage.threads() - threads} | losses(crowd)


def _until(crowd: Crowd, fact: Callable[[], bool], seconds: float) -> bool:
    """Take what arrives until `fact` is true; return whether it is."""
    end = time.monotonic() + seconds
    while not fact() and time.monotonic() < end:
        crowd.pump(WAIT_SECONDS)
    return fact()


def _wait_until_quiet(usage: Usage) -> None:
    end = time.monotonic() + JOIN_SECONDS
    used = -1.0
    while (now := usage.cpu_seconds()) != used and time.monotonic() < end:
        used = now
        time.sleep(QUIET_CHECK_SECONDS)


def idle(job: Job) -> Result:
    """Let everybody be there and say nothing; it ends before a server asks whether they still are."""
    usage = Usage(job.pid)
    with Crowd(job.address, DIALECTS[job.dialect]) as crowd:
        result = enter(crowd, job, usage)
        _wait_until_quiet(usage)
        window = Window(crowd, usage)
        end = time.monotonic() + 2 * job.seconds
        while (left := end - time.monotonic()) > 0:
            crowd.pump(left)
        return result | {"cpu_share": window.result(1)["cpu_share"]} | losses(crowd)


class Returners(Crowd):
    """Clients that go without a word and come back with their tokens."""

    _WELCOME = re.compile(rb"/welcome \S+ \S+ (\S+) ")

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, DIALECTS["ours"])
        self.tokens: dict[str, bytes] = {}

    def _go_on(self, client: Client, data: bytes) -> None:
        if found := self._WELCOME.search(client.rest + data):
            self.tokens[client.name] = found[1]
        super()._go_on(client, data)

    def go(self) -> None:
        """Close every connection."""
        for client in list(self.inside):
            self.close(client)

    def come_back(self, seq: int) -> None:
        """Connect again, all, and then say at once who is back, with SEQ the last line seen."""
        back = [self.connect(name, 0) for name in self.tokens]
        for client in back:
            client.stage = Stage.INSIDE
        _until(self, lambda: self.bytes >= len(b"/hello 1 -\n") * len(back), JOIN_SECONDS)
        self.messages = 0
        for client in back:
            self.say(client, b"/resume %b lobby %d\n" % (self.tokens[client.name], seq))


def catch_up(job: Job) -> Result:
    """Let everybody come back at once, each many lines behind."""
    usage = Usage(job.pid)
    with Returners(job.address) as crowd, Crowd(job.address, crowd.dialect) as speakers:
        result = enter(crowd, job, usage)
        crowd.go()
        speakers.begin("teller", 0)
        _until(speakers, lambda: bool(speakers.inside), JOIN_SECONDS)
        for said in range(AT_ONCE_LINES, PAST_LINES + 1, AT_ONCE_LINES):
            speakers.say(speakers.inside[0], crowd.dialect.say(0, text()) * AT_ONCE_LINES)
            _until(speakers, lambda said=said: speakers.messages >= said, HEAR_SECONDS)  # type: ignore[misc]
        settle(speakers, LULL_SECONDS)
        if speakers.messages != PAST_LINES:
            raise MissingError(f"{speakers.messages} of {PAST_LINES} lines were said")
        crowd.bytes = 0
        crowd.come_back(0)
        start = time.monotonic()
        wanted = job.clients * PAST_LINES
        if not _until(crowd, lambda: crowd.messages >= wanted, HEAR_SECONDS):
            raise MissingError(f"{wanted - crowd.messages} of {wanted} lines are missing after {HEAR_SECONDS:g} s")
        seconds = time.monotonic() - start
        return result | {"lines_per_second": wanted / seconds, "catch_up_seconds": seconds} | losses(crowd)
