"""What ten honest people notice of each attack: `python3 -m benchmarks.attacks [--only NAME] [--seconds 5]`.

For each attack a server of its own is started, on loopback. Ten honest people (a process of their own) chat and measure
the delay of their lines, first in quiet, then for as long beside the attack (another process, of the lowest priority,
for it stands for other machines). The goal: their p99 is at most twice that in quiet, or FLOOR_MS, and the server's
memory grows by at most 50 MB. A server `strict` counts addresses on this machine, too; the attack then comes from
127.0.0.2. It ends only what it started.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import resource
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.honest import LAST_SECONDS
from tests.certificates import careless
from tests.wire import PATIENCE_SECONDS, ROOT, ServerProcess

FLOOR_MS = 10.0  # a p99 below that is noise: two turns of Python's thread switch, of 5 ms each
MEMORY_MB = 50.0
STEP_SECONDS = 0.05  # between two rounds of an attack
DESCRIPTORS = 4_096  # for an attacker

Address = tuple[str, int]
Attack = Callable[["Crowd", float], None]


class Crowd:
    """The connections of an attacker; those that the server ended are forgotten."""

    def __init__(self, address: Address, source: str) -> None:
        self._address, self._source = address, source
        self.sockets: list[socket.socket] = []
        self._names = 0

    def add(self, count: int, *, named: bool = False, buffer: int = 0) -> list[socket.socket]:
        """Open connections; with `named` each says a name that nobody had."""
        new = []
        for _ in range(count):
            connection = socket.socket()
            if buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            connection.settimeout(1.0)
            with contextlib.suppress(OSError):
                connection.bind((self._source, 0))
                connection.connect(self._address)
            connection.setblocking(False)
            new.append(connection)
            if named:
                self._names += 1
                self.send(connection, f"/name x{self._names}\n".encode())
        self.sockets += new
        return new

    def send(self, connection: socket.socket, data: bytes) -> bool:
        """Send what goes at once; return whether the connection is there."""
        try:
            connection.send(data)
        except BlockingIOError:
            pass
        except OSError:
            connection.close()
            return False
        return True

    def everybody(self, data: Callable[[int], bytes], *, reads: bool = True) -> None:
        """Have each send, and read what there is."""
        for number, connection in enumerate(list(self.sockets)):
            if reads:
                with contextlib.suppress(OSError):
                    connection.recv(65_536)
            if not self.send(connection, data(number)):
                self.sockets.remove(connection)


def _rounds(until: float) -> Iterator[int]:
    number = 0
    while time.monotonic() < until:
        yield number
        number += 1
        time.sleep(STEP_SECONDS)


def _client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    tls = careless().wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def slow_handshake(crowd: Crowd, until: float) -> None:
    """200 that say /name byte by byte."""
    for number in _rounds(until):
        crowd.add(200 - len(crowd.sockets))
        crowd.everybody(lambda who, number=number: f"/name slow{who}-{'y' * 1_000}"[number : number + 1].encode())  # type: ignore[misc]


def slow_tls(crowd: Crowd, until: float) -> None:
    """200 that say a ClientHello byte by byte and never end it."""
    hello = _client_hello()
    for number in _rounds(until):
        crowd.add(200 - len(crowd.sockets))
        crowd.everybody(lambda _, number=number: hello[number : number + 1] if number < len(hello) - 1 else b"")  # type: ignore[misc]


def silent(crowd: Crowd, until: float) -> None:
    """1,000 connections that say nothing."""
    crowd.add(1_000)
    time.sleep(max(0.0, until - time.monotonic()))


def endless_lines(crowd: Crowd, until: float) -> None:
    """32 people whose lines have no end; who is thrown out comes back."""
    for _ in _rounds(until):
        crowd.add(32 - len(crowd.sockets), named=True)
        crowd.everybody(lambda _: b"z" * 65_536)


def stalled_readers(crowd: Crowd, until: float) -> None:
    """50 in the lobby and one in each of 20 rooms who never read, while 5 in the lobby and one in each room talk."""
    for connection in crowd.add(50, named=True, buffer=4_096) and crowd.add(20, named=True, buffer=4_096):
        crowd.send(connection, f"/join r{len(crowd.sockets)}-{crowd.sockets.index(connection) - 50}\n".encode())
    talkers = Crowd(crowd._address, crowd._source)  # the same attacker
    talkers._names = 1_000
    for number, connection in enumerate(talkers.add(25, named=True)):
        if number >= 5:
            talkers.send(connection, f"/join r70-{number - 5}\n".encode())
    for number in _rounds(until):
        if number % 2 == 0:
            talkers.everybody(lambda _: b"w" * 2_000 + b"\n")


def connects(crowd: Crowd, until: float) -> None:
    """Open and close connections as fast as it goes."""
    while time.monotonic() < until:
        for connection in crowd.add(20):
            connection.close()
        crowd.sockets.clear()


def joins(crowd: Crowd, until: float) -> None:
    """20 who go to and fro, far more often than they may."""
    crowd.add(20, named=True)
    for number in _rounds(until):
        crowd.everybody(lambda who, number=number: f"/join j{who}-{number}\n/leave\n".encode())  # type: ignore[misc]


def names(crowd: Crowd, until: float) -> None:
    """20 who change their name, far more often than they may."""
    crowd.add(20, named=True)
    for number in _rounds(until):
        crowd.everybody(lambda who, number=number: f"/name n{who}-{number}\n".encode())  # type: ignore[misc]


def random_bytes(crowd: Crowd, until: float) -> None:
    """50 who send noise, half of them with a name."""
    for _ in _rounds(until):
        missing = 50 - len(crowd.sockets)
        crowd.add(missing // 2, named=True)
        crowd.add(missing - missing // 2)
        crowd.everybody(lambda _: random.randbytes(1_000))


def half_closed(crowd: Crowd, until: float) -> None:
    """End the own side of connections, some with a name, and stay."""
    for _ in _rounds(until):
        for connection in crowd.add(3, named=True) + crowd.add(3):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)


def early_close(crowd: Crowd, until: float) -> None:
    """TLS handshakes that are begun and dropped."""
    hello = _client_hello()
    for _ in _rounds(until):
        for connection in crowd.add(10):
            crowd.send(connection, hello)
            connection.close()
        crowd.sockets.clear()


def stopped(crowd: Crowd, until: float) -> None:
    """Stop a client with SIGSTOP while 5 in the lobby talk."""
    command = [sys.executable, str(ROOT / "chat_client.py"), "%s:%d" % crowd._address, "--tail"]  # noqa: UP031
    with tempfile.TemporaryDirectory() as folder:
        log = ["--config", folder, "--log-file", str(Path(folder) / "log")]
        client = subprocess.Popen(command + log, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            crowd.add(5, named=True)
            for number in _rounds(until):
                if number == 20:
                    client.send_signal(signal.SIGSTOP)
                if number % 2 == 0:
                    crowd.everybody(lambda _: b"w" * 2_000 + b"\n")
        finally:
            client.kill()
            client.wait()


@dataclass(frozen=True, slots=True)
class Trial:
    """An attack, and on what server."""

    attack: Attack
    server: str = "plain"


TRIALS = {
    "slow-handshake": Trial(slow_handshake),
    "slow-tls": Trial(slow_tls, "tls"),
    "silent": Trial(silent),
    "endless-lines": Trial(endless_lines),
    "stalled-readers": Trial(stalled_readers),
    "connects": Trial(connects),
    "connects-strict": Trial(connects, "strict"),
    "joins": Trial(joins),
    "names": Trial(names),
    "random-bytes": Trial(random_bytes),
    "half-closed": Trial(half_closed),
    "early-close-tls": Trial(early_close, "tls"),
    "stopped-client": Trial(stopped),
}


def attack_for(name: str, address: Address, seconds: float) -> None:
    """Be the attacker's process."""
    os.nice(19)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    trial = TRIALS[name]
    crowd = Crowd(address, "127.0.0.2" if trial.server == "strict" else "127.0.0.1")
    trial.attack(crowd, time.monotonic() + seconds)


@dataclass(frozen=True, slots=True)
class Result:
    """What the honest people noticed; delays in ms."""

    quiet: list[float]
    attacked: list[float]
    in_order: bool
    grown_mb: float


def run(server: ServerProcess, name: str, seconds: float) -> Result:
    """Have honest people chat on a server, in quiet and then beside an attack."""
    host, port = server.address
    tls = "tls" if TRIALS[name].server == "tls" else "plain"
    command = [sys.executable, "-m", "benchmarks.honest", host, str(port), str(2 * seconds), tls]
    honest = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    attacker = multiprocessing.get_context("spawn").Process(target=attack_for, args=(name, server.address, seconds))
    try:
        assert honest.stdout is not None
        honest.stdout.readline()
        time.sleep(seconds)
        before = most = server.resident_bytes()
        start = time.monotonic()
        attacker.start()
        while time.monotonic() < start + seconds:
            most = max(most, server.resident_bytes())
            time.sleep(STEP_SECONDS)
        told = json.loads(honest.communicate(timeout=LAST_SECONDS + PATIENCE_SECONDS)[0])
        attacker.join(PATIENCE_SECONDS)
    finally:
        for process in (honest, attacker):
            if process.pid is not None:
                process.kill()
        honest.wait()
        if attacker.pid is not None:
            attacker.join()
    quiet = [delay * 1e3 for said, delay in told["delays"] if said < start]
    attacked = [delay * 1e3 for said, delay in told["delays"] if said >= start]
    return Result(quiet, attacked, told["in_order"], (most - before) / 1e6)


def serve(folder: Path, kind: str) -> ServerProcess:
    """Start a server of one of the kinds: plain, tls, strict."""
    if kind == "strict":
        return ServerProcess(folder, module="benchmarks.strict_server")
    return ServerProcess(folder, *(["--tls-self-signed"] if kind == "tls" else []))


def _p99(delays: list[float]) -> float:
    return statistics.quantiles(delays, n=100)[98]


def _shown(delays: list[float]) -> str:
    return f"{statistics.median(delays):6.2f} {_p99(delays):7.2f} {max(delays):7.2f}"


def verdict(result: Result) -> str:
    """Return what of the goal is missed, `ok` if nothing."""
    missed = [
        "p99" if _p99(result.attacked) > max(2 * _p99(result.quiet), FLOOR_MS) else "",
        "memory" if result.grown_mb > MEMORY_MB else "",
        "" if result.in_order else "order",
    ]
    return " ".join(filter(None, missed)) or "ok"


def main() -> int:
    """Print a row for each attack; 1 if one misses the goal."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=TRIALS)
    options.add_argument("--seconds", type=float, default=5.0)
    given = options.parse_args()
    print("attack            quiet p50    p99     max | beside it    p99     max | ratio    MB  in order  goal")
    missed = False
    for name in [given.only] if given.only else TRIALS:
        with tempfile.TemporaryDirectory() as folder, serve(Path(folder), TRIALS[name].server) as server:
            result = run(server, name, given.seconds)
        ratio = _p99(result.attacked) / _p99(result.quiet)
        quiet, attacked = _shown(result.quiet), _shown(result.attacked)
        tail = f"{ratio:5.1f} {result.grown_mb:5.1f}  {'yes' if result.in_order else 'NO':8}  {verdict(result)}"
        print(f"{name:18}   {quiet} |    {attacked} | {tail}", flush=True)
        missed = missed or verdict(result) != "ok"
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
