"""An attacker: `python3 -m benchmarks.attacker ATTACK HOST PORT SECONDS ROUND`.

It has the lowest priority, for it stands for other machines. It says `ready`, attacks once it is told to, and prints in
JSON how often the server answered what: lines by their first word, an error by its code. What is cut between two reads
may be counted by half of its word.
"""

import contextlib
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

from benchmarks.evidence import Bite, Evidence
from testing.certificates import unverified_context
from testing.tls_records import ALERT, Forger, KeyUpdater, Renegotiator
from testing.waiting import ROOT

STEP_SECONDS = 0.05  # between two steps of an attack
DESCRIPTORS = 4_096  # for an attacker
SEGMENT_BYTES = 1_460  # as on Ethernet; with those of loopback the kernel holds 2.8 MB for somebody who does not read
TIMEOUT_SECONDS = 5.0  # for a handshake
FLOOD_RECORDS = 2_000  # of a lot, some 60 KB
LINE = b"w" * 2_000 + b"\n"
_ANSWER = re.compile(rb"^/(?:error )?([a-z-]+)", re.MULTILINE)

Address = tuple[str, int]


def foreign_address() -> str:
    """Return an address of this machine that nobody has used; about others the kernel remembers how much they take."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"


class Crowd:
    """The connections of an attacker; those that the server ended are forgotten. An attack lasts until it is `over`."""

    def __init__(self, address: Address, *, prefix: str = "x") -> None:
        """Nobody else's names begin with `prefix`."""
        self.address, self._prefix = address, prefix
        self._source = foreign_address()
        self.over = threading.Event()
        self.seen: Evidence = Counter()
        self.sockets: list[socket.socket] = []
        self._names = 0

    def steps(self) -> Iterator[int]:
        """Count the steps of the attack, at their pace."""
        number = 0
        while not self.over.is_set():
            yield number
            number += 1
            self.over.wait(STEP_SECONDS)

    def connect(self, *, buffer: int = 0) -> socket.socket:
        """Open a connection, blocking. Raises OSError."""
        connection = socket.socket()
        connection.settimeout(TIMEOUT_SECONDS)
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
        """Open connections; with `named` each says a name that nobody had."""
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
        """Open connections that belong to the crowd."""
        self.sockets += self.open(count, named=named)

    def new_name(self) -> str:
        """Return a name that nobody had."""
        self._names += 1
        return f"{self._prefix}{self._names}"

    def send(self, connection: socket.socket, data: bytes) -> bool:
        """Send what goes at once; return whether the connection is there."""
        try:
            connection.send(data)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def hear(self, connection: socket.socket) -> None:
        """Count what the server answers, as far as it is here."""
        with contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                self.count(data)

    def count(self, data: bytes) -> None:
        """Count the first words of the lines that came."""
        self.seen.update(word.decode() for word in _ANSWER.findall(data))

    def everybody(self, data: Callable[[int], bytes]) -> None:
        """Have each hear, and send; who cannot is forgotten."""
        for number, connection in enumerate(list(self.sockets)):
            self.hear(connection)
            if not self.send(connection, data(number)):
                self.hear(connection)
                connection.close()
                self.sockets.remove(connection)

    def close(self) -> None:
        """Hear the last, and end all connections."""
        for connection in self.sockets:
            self.hear(connection)
            connection.close()
        self.sockets.clear()


Attack = Callable[[Crowd], None]


def _byte_by_byte(crowd: Crowd, data: bytes) -> None:
    """Have 200 say `data` a byte at a time and never the last one."""
    for step in crowd.steps():
        crowd.add(200 - len(crowd.sockets))
        byte = data[:-1][step : step + 1]
        crowd.everybody(lambda _, byte=byte: byte)  # type: ignore[misc]


def slow_handshake(crowd: Crowd) -> None:
    """200 that say /name byte by byte."""
    _byte_by_byte(crowd, b"/name " + b"y" * 8_000)


def slow_tls(crowd: Crowd) -> None:
    """200 that say a ClientHello byte by byte and never end it."""
    _byte_by_byte(crowd, client_hello())


def client_hello() -> bytes:
    """Return how a TLS connection begins."""
    outgoing = ssl.MemoryBIO()
    tls = unverified_context().wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def silent(crowd: Crowd) -> None:
    """1,000 connections that say nothing."""
    crowd.add(1_000)
    for _ in crowd.steps():
        for connection in crowd.sockets:
            crowd.hear(connection)


def endless_lines(crowd: Crowd) -> None:
    """32 people whose lines have no end; who is thrown out comes back."""
    for _ in crowd.steps():
        crowd.add(32 - len(crowd.sockets), named=True)
        crowd.everybody(lambda _: b"z" * 65_536)


def stalled_readers(crowd: Crowd) -> None:
    """14 in each of 5 rooms, the lobby and 4 others, who never read, while 15 others talk in each."""
    rooms = ["lobby", *(crowd.new_name() for _ in range(4))]
    stalled: list[socket.socket] = []
    for number, _ in zip(range(15), crowd.steps(), strict=False):  # not all at once: that is another attack
        for room in rooms:
            newcomers = crowd.open(1, named=True)
            crowd.sockets += newcomers
            if number < 14:
                newcomers += crowd.open(1, named=True, buffer=4_096)
                stalled += newcomers[1:]
            for connection in newcomers:
                crowd.send(connection, f"/join {room}\n".encode() * (room != "lobby"))
    talk(crowd)
    crowd.sockets += stalled


def talk(crowd: Crowd) -> None:
    """Say much in one go, and then more than one may."""
    for step in crowd.steps():
        crowd.everybody(lambda _, lines=40 if step == 0 else 1: LINE * lines)  # type: ignore[misc]


def connects(crowd: Crowd) -> None:
    """Open and close connections as fast as it goes."""
    while not crowd.over.is_set():
        crowd.add(20)
        if crowd.sockets:
            select.select(crowd.sockets[-1:], [], [], STEP_SECONDS)  # so that they are more than a number to the kernel
        crowd.close()


def joins(crowd: Crowd) -> None:
    """20 who go to and fro, far more often than they may."""
    crowd.add(20, named=True)
    for _ in crowd.steps():
        crowd.everybody(lambda _: f"/join {crowd.new_name()}\n/leave\n".encode() * 3)


def names(crowd: Crowd) -> None:
    """20 who change their name, far more often than they may."""
    crowd.add(20, named=True)
    for _ in crowd.steps():
        crowd.everybody(lambda _: b"".join(f"/name {crowd.new_name()}\n".encode() for _ in range(5)))


def random_bytes(crowd: Crowd) -> None:
    """50 who send noise, half of them with a name."""
    for _ in crowd.steps():
        missing = 50 - len(crowd.sockets)
        crowd.add(missing // 2, named=True)
        crowd.add(missing - missing // 2)
        crowd.everybody(lambda _: random.randbytes(1_000))


def half_closed(crowd: Crowd) -> None:
    """End the own side of connections, some with a name, and stay."""
    for _ in crowd.steps():
        new = crowd.open(3, named=True) + crowd.open(3)
        for connection in new:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        crowd.sockets += new


def early_close(crowd: Crowd) -> None:
    """TLS handshakes that are begun and dropped, and some that are done, and cut."""
    hello = client_hello()
    for _ in crowd.steps():
        for connection in crowd.open(8):
            crowd.send(connection, hello)
            connection.close()
        with contextlib.suppress(OSError), unverified_context().wrap_socket(crowd.connect()):
            pass  # closed without a goodbye


def renegotiation(crowd: Crowd) -> None:
    """4 in the lobby who ask for another handshake, again and again, with TLS 1.2."""
    _flood(crowd, Renegotiator)


def key_updates(crowd: Crowd) -> None:
    """4 in the lobby who change the keys, and have the server change its own, again and again, with TLS 1.3."""
    _flood(crowd, KeyUpdater)


def _flood(crowd: Crowd, kind: type[Forger]) -> None:
    """Have 4 connections send records of an attack; who is thrown out comes back."""
    floods: list[Flood] = []
    for _ in crowd.steps():
        floods = [flood for flood in floods if flood.go_on()]
        while len(floods) < 4 and not crowd.over.is_set():
            with contextlib.suppress(OSError, SSL.Error):
                floods.append(Flood(crowd, kind))
    for flood in floods:
        flood.go_on()
        flood.connection.close()


class Flood:
    """A connection with forged records; with each lot of them goes a ping, whose answer proves that all were read."""

    def __init__(self, crowd: Crowd, kind: type[Forger]) -> None:
        """Come in. Raises OSError, or SSL.Error."""
        self._crowd = crowd
        self.connection = crowd.connect()
        try:
            self._forger = kind(self.connection)
        except BaseException:
            self.connection.close()
            raise
        self.connection.setblocking(False)
        self._unsent = self._forger.say(f"/name {crowd.new_name()}\n".encode())

    def go_on(self) -> bool:
        """Hear, and send what goes at once; return whether the connection is there."""
        try:
            with contextlib.suppress(BlockingIOError):
                self._hear()
            self._unsent = self._unsent or self._forger.flood(FLOOD_RECORDS) + self._forger.say(b"/ping x\n")
            with contextlib.suppress(BlockingIOError):
                self._unsent = self._unsent[self.connection.send(self._unsent) :]
        except OSError:
            self.connection.close()
            return False
        return True

    def _hear(self) -> None:
        while data := self.connection.recv(65_536):
            self._forger.kinds.clear()
            self._crowd.count(self._forger.read(data))
            self._crowd.seen["alerts"] += self._forger.kinds[ALERT]
        raise ConnectionAbortedError("the server closed")


def stopped(crowd: Crowd) -> None:
    """Stop a client with SIGSTOP while 60 in the lobby talk."""
    with tempfile.TemporaryDirectory() as folder:
        files = ["--config", folder, "--log-file", str(Path(folder) / "log")]
        command = [sys.executable, "-m", "benchmarks.far_client", "{}:{}".format(*crowd.address), "--tail", *files]
        client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for_a_tail(crowd)
            client.send_signal(signal.SIGSTOP)
            for _, _ in zip(range(15), crowd.steps(), strict=False):
                crowd.add(4, named=True)
            talk(crowd)
        finally:
            client.kill()
            client.wait()


def _wait_for_a_tail(crowd: Crowd) -> None:
    """Wait until somebody is in the lobby who is called as a client is with `--tail`."""
    asking = crowd.open(1, named=True)
    for connection in asking:
        for _ in crowd.steps():
            crowd.send(connection, b"/who\n")
            with contextlib.suppress(BlockingIOError):
                if b"/person tail-" in connection.recv(65_536):
                    break
        connection.close()


@dataclass(frozen=True, slots=True)
class Trial:
    """An attack, on what server, and what proves that it bit."""

    attack: Attack
    bite: Bite
    server: str = "plain"


TRIALS = {
    "slow-handshake": Trial(slow_handshake, Bite("threads", 150)),
    "slow-tls": Trial(slow_tls, Bite("threads", 150), "tls"),
    "silent": Trial(silent, Bite("server-full", 500)),
    "endless-lines": Trial(endless_lines, Bite("line-too-long", 30)),
    "stalled-readers": Trial(stalled_readers, Bite("behind", 60)),
    "connects": Trial(connects, Bite("hello", 50)),
    "connects-strict": Trial(connects, Bite("too-fast", 50), "strict"),
    "joins": Trial(joins, Bite("too-fast", 20)),
    "names": Trial(names, Bite("too-fast", 20)),
    "random-bytes": Trial(random_bytes, Bite("name-needed", 25)),
    "half-closed": Trial(half_closed, Bite("log went", 10)),
    "early-close-tls": Trial(early_close, Bite("log lost", 10), "tls"),
    "renegotiation": Trial(renegotiation, Bite("alerts", 2_000), "tls"),
    "key-updates": Trial(key_updates, Bite("log lost", 4), "tls"),
    "stopped-client": Trial(stopped, Bite("behind", 1)),
}


def main() -> None:
    """Be the attacker's process."""
    name, host, port, seconds, number = sys.argv[1:]
    os.nice(19)
    allow_descriptors()
    trial = TRIALS[name]
    crowd = Crowd((host, int(port)), prefix=f"x{number}x")
    print("ready", flush=True)
    sys.stdin.readline()
    timer = threading.Timer(float(seconds), crowd.over.set)
    timer.start()
    trial.attack(crowd)
    timer.join()
    crowd.close()
    print(json.dumps(crowd.seen))


def allow_descriptors() -> None:
    """Have this process open as many sockets as an attack needs, if that may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


if __name__ == "__main__":
    main()
