"""An attacker: `python3 -m benchmarks.attacker ATTACK HOST PORT SECONDS ROUND`.

It runs with the lowest priority, because it stands for other machines. It prints `ready`, starts the attack when it
reads a line, and prints as JSON how often the server answered what: lines by their first word, an error by its code. A
word that arrives in two pieces may be counted by its first half.
"""

import contextlib
import itertools
import json
import os
import random
import re
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from OpenSSL import SSL

from benchmarks.attack_evidence import Evidence, Threshold
from testing.certificates import unverified_context
from testing.tls_records import ALERT, Forger, KeyUpdater, Renegotiator
from testing.waiting import ROOT

STEP_SECONDS = 0.05  # between two steps of an attack
DESCRIPTORS = 4_096
SEGMENT_BYTES = 1_460  # as on Ethernet; with the segments of loopback the kernel holds 2.8 MB for a stalled reader
CONNECT_SECONDS = 5.0  # with a TLS handshake
FLOOD_RECORDS = 2_000  # in one batch, some 60 KB
LINE = b"w" * 2_000 + b"\n"
WIDEST_LINE = "\N{GRINNING FACE}".encode() * 2_000 + b"\n"  # a message of the most bytes
FILL_STEPS = 40  # two seconds, in which the users of an attack fill a room as far as the rate limit allows
_ANSWER = re.compile(rb"^/(?:error )?([a-z-]+)", re.MULTILINE)

Address = tuple[str, int]


def random_loopback_address() -> str:
    """Return an address of this machine; for each, the kernel remembers how much its sockets take."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"


class Attacker:
    """The connections of an attack, which lasts until `over` is set; connections that the server ended are removed."""

    def __init__(self, address: Address, *, prefix: str = "x") -> None:
        """`prefix` starts the names of this attacker's users, and of no others."""
        self.address, self._prefix = address, prefix
        self._source = random_loopback_address()
        self.over = threading.Event()
        self.evidence: Evidence = Counter()
        self.sockets: list[socket.socket] = []
        self._names = 0

    def steps(self) -> Iterator[int]:
        """Yield the numbers of the attack's steps, one each STEP_SECONDS."""
        number = 0
        while not self.over.is_set():
            yield number
            number += 1
            self.over.wait(STEP_SECONDS)

    def connect(self, *, buffer: int = 0) -> socket.socket:
        """Open a blocking connection. Raises OSError."""
        connection = socket.socket()
        connection.settimeout(CONNECT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            connection.bind((self._source, 0))
            connection.connect(self.address)
        except OSError:
            connection.close()
            raise
        return connection

    def open(self, count: int, *, named: bool = False, buffer: int = 0) -> list[socket.socket]:
        """Open non-blocking connections; with `named` each signs in with a new name."""
        new: list[socket.socket] = []
        while len(new) < count and not self.over.is_set():
            try:
                connection = self.connect(buffer=buffer)
            except OSError:
                break
            connection.setblocking(False)
            new.append(connection)
            if named:
                self.send(connection, f"/name {self.new_name()}\n".encode())
        return new

    def add(self, count: int, *, named: bool = False) -> None:
        """Open connections and add them to `sockets`."""
        self.sockets += self.open(count, named=named)

    def new_name(self) -> str:
        """Return a name that was not used before."""
        self._names += 1
        return f"{self._prefix}{self._names}"

    def send(self, connection: socket.socket, data: bytes) -> bool:
        """Send what the socket takes now; return whether the connection still exists."""
        try:
            connection.send(data)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def read(self, connection: socket.socket) -> None:
        """Read and count the answers that have arrived."""
        with contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                self.count_answers(data)

    def count_answers(self, data: bytes) -> None:
        """Count lines of the server by their first word."""
        self.evidence.update(word.decode() for word in _ANSWER.findall(data))

    def send_from_each(self, data: Callable[[int], bytes]) -> None:
        """Read from each connection and send on it; remove those that have ended."""
        for number, connection in enumerate(list(self.sockets)):
            self.read(connection)
            if not self.send(connection, data(number)):
                self.read(connection)
                connection.close()
                self.sockets.remove(connection)

    def close(self) -> None:
        """Read the last answers and close all connections."""
        for connection in self.sockets:
            self.read(connection)
            connection.close()
        self.sockets.clear()


def _send_byte_by_byte(attacker: Attacker, data: bytes) -> None:
    """Send `data` on 200 connections, one byte a step, never the last one."""
    for step in attacker.steps():
        attacker.add(200 - len(attacker.sockets))
        byte = data[:-1][step : step + 1]
        attacker.send_from_each(lambda _, byte=byte: byte)  # type: ignore[misc]


def send_slow_names(attacker: Attacker) -> None:
    """Send /name byte by byte on 200 connections."""
    _send_byte_by_byte(attacker, b"/name " + b"y" * 8_000)


def send_slow_client_hellos(attacker: Attacker) -> None:
    """Send a ClientHello byte by byte on 200 connections and never end it."""
    _send_byte_by_byte(attacker, client_hello())


def client_hello() -> bytes:
    """Return the first message of a TLS handshake."""
    outgoing = ssl.MemoryBIO()
    tls = unverified_context().wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def stay_silent(attacker: Attacker) -> None:
    """Open 1,000 connections and send nothing."""
    attacker.add(1_000)
    for _ in attacker.steps():
        for connection in attacker.sockets:
            attacker.read(connection)


def send_endless_lines(attacker: Attacker) -> None:
    """Send lines without an end as 32 users; a user that is disconnected connects again."""
    for _ in attacker.steps():
        attacker.add(32 - len(attacker.sockets), named=True)
        attacker.send_from_each(lambda _: b"z" * 65_536)


def stall_readers(attacker: Attacker) -> None:
    """Put 14 users that never read and 15 that send much into each of 5 rooms, one of them the lobby."""
    rooms = ["lobby", *(attacker.new_name() for _ in range(4))]
    stalled: list[socket.socket] = []
    for number, _ in zip(range(15), attacker.steps(), strict=False):  # not at once: that is another attack
        for room in rooms:
            newcomers = attacker.open(1, named=True)
            attacker.sockets += newcomers
            if number < 14:
                newcomers += attacker.open(1, named=True, buffer=4_096)
                stalled += newcomers[1:]
            for connection in newcomers:
                attacker.send(connection, f"/join {room}\n".encode() * (room != "lobby"))
    send_many_lines(attacker)
    attacker.sockets += stalled


def send_many_lines(attacker: Attacker) -> None:
    """Send 40 lines at once from each connection, then more than the rate limit allows."""
    for step in attacker.steps():
        attacker.send_from_each(lambda _, lines=40 if step == 0 else 1: LINE * lines)  # type: ignore[misc]


def ignore_replies(attacker: Attacker) -> None:
    """Fill a room with long lines as 60 users; then request all of them, and the lists, and read nothing."""
    room = attacker.new_name()
    attacker.sockets = attacker.open(60, named=True, buffer=4_096)
    requests = itertools.cycle([b"/history 1000\n", b"/list\n", b"/who\n", b"/history 1000\n/help\n"])
    for step in attacker.steps():
        if step < FILL_STEPS:
            join = f"/join {room}\n".encode()
            attacker.send_from_each(lambda _, join=join, first=not step: (join + WIDEST_LINE * 5) * first)  # type: ignore[misc]
        elif step % 10 == 0:
            request = next(requests)
            for connection in attacker.sockets:
                attacker.send(connection, request)


def connect_and_close(attacker: Attacker) -> None:
    """Open and close connections as fast as possible."""
    while not attacker.over.is_set():
        attacker.add(20)
        if attacker.sockets:
            select.select(attacker.sockets[-1:], [], [], STEP_SECONDS)  # until the server has accepted the last one
        attacker.close()


def join_and_leave(attacker: Attacker) -> None:
    """Change rooms as 20 users, far more often than the limit allows."""
    attacker.add(20, named=True)
    for _ in attacker.steps():
        attacker.send_from_each(lambda _: f"/join {attacker.new_name()}\n/leave\n".encode() * 3)


def change_names(attacker: Attacker) -> None:
    """Change names as 20 users, far more often than the limit allows."""
    attacker.add(20, named=True)
    for _ in attacker.steps():
        attacker.send_from_each(lambda _: b"".join(f"/name {attacker.new_name()}\n".encode() for _ in range(5)))


def send_random_bytes(attacker: Attacker) -> None:
    """Send random bytes on 50 connections, half of them with a name."""
    for _ in attacker.steps():
        missing = 50 - len(attacker.sockets)
        attacker.add(missing // 2, named=True)
        attacker.add(missing - missing // 2)
        attacker.send_from_each(lambda _: random.randbytes(1_000))


def half_close(attacker: Attacker) -> None:
    """End the sending side of connections, half of them with a name, and stay."""
    for _ in attacker.steps():
        new = attacker.open(3, named=True) + attacker.open(3)
        for connection in new:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        attacker.sockets += new


def close_tls_early(attacker: Attacker) -> None:
    """Start TLS handshakes and drop them; finish some and close the connection without an alert."""
    hello = client_hello()
    for _ in attacker.steps():
        for connection in attacker.open(8):
            attacker.send(connection, hello)
            connection.close()
        with contextlib.suppress(OSError), unverified_context().wrap_socket(attacker.connect()):
            pass


def renegotiate(attacker: Attacker) -> None:
    """Request TLS 1.2 renegotiations as 4 users of the lobby, again and again."""
    _flood_records(attacker, Renegotiator)


def update_keys(attacker: Attacker) -> None:
    """Request TLS 1.3 key updates in both directions as 4 users of the lobby, again and again."""
    _flood_records(attacker, KeyUpdater)


def _flood_records(attacker: Attacker, kind: type[Forger]) -> None:
    """Send forged records on 4 connections; a user that is disconnected connects again."""
    floods: list[RecordFlood] = []
    for _ in attacker.steps():
        floods = [flood for flood in floods if flood.step()]
        while len(floods) < 4 and not attacker.over.is_set():
            with contextlib.suppress(OSError, SSL.Error):
                floods.append(RecordFlood(attacker, kind))
    for flood in floods:
        flood.step()
        flood.connection.close()


class RecordFlood:
    """A connection that sends forged records in batches, each with a ping whose answer proves that it was read."""

    def __init__(self, attacker: Attacker, kind: type[Forger]) -> None:
        """Connect and sign in. Raises OSError or SSL.Error."""
        self._attacker = attacker
        self.connection = attacker.connect()
        try:
            self._forger = kind(self.connection)
        except BaseException:
            self.connection.close()
            raise
        self.connection.setblocking(False)
        self._unsent = self._forger.encrypt(f"/name {attacker.new_name()}\n".encode())

    def step(self) -> bool:
        """Read, and send what the socket takes now; return whether the connection still exists."""
        try:
            with contextlib.suppress(BlockingIOError):
                self._read()
            self._unsent = self._unsent or self._forger.flood(FLOOD_RECORDS) + self._forger.encrypt(b"/ping x\n")
            with contextlib.suppress(BlockingIOError):
                self._unsent = self._unsent[self.connection.send(self._unsent) :]
        except OSError:
            self.connection.close()
            return False
        return True

    def _read(self) -> None:
        while data := self.connection.recv(65_536):
            self._forger.kinds.clear()
            self._attacker.count_answers(self._forger.read(data))
            self._attacker.evidence["alerts"] += self._forger.kinds[ALERT]
        raise ConnectionAbortedError("the server closed the connection")


def stop_client(attacker: Attacker) -> None:
    """Stop a client with SIGSTOP while 60 users of the lobby send much."""
    with tempfile.TemporaryDirectory() as folder:
        files = ["--config", folder, "--log-file", str(Path(folder) / "log")]
        command = [
            sys.executable,
            "-m",
            "benchmarks.ethernet_client",
            "{}:{}".format(*attacker.address),
            "--tail",
            *files,
        ]
        client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for_tail_client(attacker)
            client.send_signal(signal.SIGSTOP)
            for _, _ in zip(range(15), attacker.steps(), strict=False):
                attacker.add(4, named=True)
            send_many_lines(attacker)
        finally:
            client.kill()
            client.wait()


def _wait_for_tail_client(attacker: Attacker) -> None:
    """Wait until the lobby has a member with a name that `--tail` chooses."""
    for connection in attacker.open(1, named=True):
        for _ in attacker.steps():
            attacker.send(connection, b"/who\n")
            with contextlib.suppress(BlockingIOError):
                if b"/person tail-" in connection.recv(65_536):
                    break
        connection.close()


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack, the evidence that proves that it reached the server, and the kind of server that it needs."""

    run: Callable[[Attacker], None]
    threshold: Threshold
    server: str = "plain"


ATTACKS = {
    "slow-handshake": Attack(send_slow_names, Threshold("threads", 150)),
    "slow-tls": Attack(send_slow_client_hellos, Threshold("threads", 150), "tls"),
    "silent": Attack(stay_silent, Threshold("server-full", 500)),
    "endless-lines": Attack(send_endless_lines, Threshold("line-too-long", 30)),
    "stalled-readers": Attack(stall_readers, Threshold("lagging", 60)),
    "unread-replies": Attack(ignore_replies, Threshold("lagging", 50)),
    "connects": Attack(connect_and_close, Threshold("hello", 50)),
    "connects-strict": Attack(connect_and_close, Threshold("too-fast", 50), "strict"),
    "joins": Attack(join_and_leave, Threshold("too-fast", 20)),
    "names": Attack(change_names, Threshold("too-fast", 20)),
    "random-bytes": Attack(send_random_bytes, Threshold("name-needed", 25)),
    "half-closed": Attack(half_close, Threshold("log left", 10)),
    "early-close-tls": Attack(close_tls_early, Threshold("log lost", 10), "tls"),
    "renegotiation": Attack(renegotiate, Threshold("alerts", 2_000), "tls"),
    "key-updates": Attack(update_keys, Threshold("log lost", 4), "tls"),
    "stopped-client": Attack(stop_client, Threshold("lagging", 1)),
}


def main() -> None:
    """Run the attack that the arguments name."""
    name, host, port, seconds, number = sys.argv[1:]
    os.nice(19)
    raise_descriptor_limit()
    attacker = Attacker((host, int(port)), prefix=f"x{number}x")
    print("ready", flush=True)
    sys.stdin.readline()
    timer = threading.Timer(float(seconds), attacker.over.set)
    timer.start()
    ATTACKS[name].run(attacker)
    timer.join()
    attacker.close()
    print(json.dumps(attacker.evidence))


def raise_descriptor_limit() -> None:
    """Raise the descriptor limit of this process to DESCRIPTORS, as far as it is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


if __name__ == "__main__":
    main()
