"""Test that no message is lost or doubled while the server is killed again and again: a story for the command line.

    python3 -m tests.stories.story [--kills 100] [--seed 1]

Eight clients post numbered lines in three rooms through a proxy that splits and delays data and closes connections in
the middle of lines, in both directions. One client is stopped with SIGSTOP and continued. The server is killed with
SIGKILL and started again. At the end every client must have seen every line of its room exactly once, all in the same
order, and the journal must hold exactly these lines. It uses only loopback and stops all processes.
"""

import argparse
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hubbub.server.journal.journal import Journal
from hubbub.server.journal.sqlite import SqliteJournal
from testing.relay import Relay
from testing.server import ServerProcess
from testing.waiting import ROOT

ROOMS = ("lobby", "ops", "ünï")
CLIENTS = 8
PIECE_BYTES = 200  # the most that the proxy forwards at once
CLOSE_BYTES = (2_000, 20_000)  # range after which it closes a connection
LINES_PER_KILL = (20, 60)  # range of lines that each client sees between two kills
POST_SECONDS = 0.02  # between two lines of a client
TIMEOUT_SECONDS = 600  # of a client that finds the server dead again and again: it waits up to 30 s after each attempt
END_SECONDS = 180.0  # for all clients to see all lines after the last kill
SAID = re.compile(r"^\d\d:\d\d (c\d): (\1-\d+)$")


class Proxy(Relay):
    """A relay that forwards small pieces and closes connections at random."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._left: dict[socket.socket, int] = {}  # bytes until it closes the connection

    def _forward(self, end: socket.socket) -> None:
        left = self._left.get(end) or self._rng.randint(*CLOSE_BYTES)
        try:
            data = end.recv(self._rng.randint(1, PIECE_BYTES))
            piece = data[:left]
            self._peers[end].sendall(piece)
        except OSError:
            data = piece = b""
        self._left[end] = left - len(piece)
        if not data or not self._left[end]:
            self._close(end)

    def _close(self, end: socket.socket) -> None:
        for sock in (end, self._peers[end]):
            self._left.pop(sock, None)
        super()._close(end)


@dataclass(eq=False)
class Client:
    """One `chat_client.py` in a pipe: what it posted and what it saw."""

    name: str
    room: str
    process: subprocess.Popen[str]
    posted: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)  # lines that are not messages
    entered: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        """Record its output until it ends; runs on a thread of its own."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if match := SAID.match(line.rstrip("\n")):
                self.seen.append(match.group(2))
            else:
                self.other.append(line)
            if f"you are in {self.room}" in line:
                self.entered.set()

    def post(self) -> None:
        """Post its next line."""
        assert self.process.stdin is not None
        self.posted.append(f"{self.name}-{len(self.posted) + 1}")
        self.process.stdin.write(self.posted[-1] + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Close its input: it leaves when all posts are acknowledged."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


@dataclass(frozen=True)
class Outcome:
    """The result of a story."""

    kills: int
    posted: int
    lost: int  # lines of its room that a client did not see, summed over clients
    doubled: int  # lines that a client saw more than once
    disordered: int  # clients that saw an order other than the journal's
    misstored: int  # lines that the journal lacks or has too many
    exit_codes: list[int]

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        wrong = (self.lost, self.doubled, self.disordered, self.misstored, *self.exit_codes)
        return self.posted > 0 and not any(wrong)

    def __str__(self) -> str:
        return (
            f"{self.posted} lines posted over {self.kills} kills: {self.lost} lost, {self.doubled} doubled, "
            f"{self.disordered} clients in another order, {self.misstored} wrong in the journal, "
            f"exit codes {self.exit_codes}"
        )


class Story:
    """One run of the story, in `folder`."""

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self._folder = folder
        self._kills = kills
        self._rng = random.Random(seed)  # noqa: S311  # not a secret
        self._clients: list[Client] = []
        self._stopped = threading.Event()

    def play(self) -> Outcome:
        """Run it and return the outcome. Raises TimeoutError, with what is missing, if it does not end."""
        with ExitStack() as stack:
            address = self._open(stack)
            self._start_clients(address, stack)
            for kill in range(self._kills):
                self._wait_for_lines()
                self._stop_or_continue_client(kill)
                self._disrupt(kill)
            self._clients[0].process.send_signal(signal.SIGCONT)
            self._wait_for_lines()
            self._stopped.set()
            self._wait(self._all_seen, END_SECONDS)
            codes = self._end_clients()
            return self._evaluate(codes)

    def _open(self, stack: ExitStack) -> str:
        """Start the servers until the stack ends; return the address for the clients."""
        self._proxy = stack.enter_context(Proxy(self._rng))
        self._start_server()
        stack.callback(lambda: self._server.stop())
        return f"127.0.0.1:{self._proxy.port}"

    def _start_server(self) -> None:
        self._server = ServerProcess(self._folder, "--rate", "0")
        self._proxy.target = self._server.address

    def _stop_or_continue_client(self, kill: int) -> None:
        """Stop one client after some kills and continue it after others."""
        if kill % 5 in (1, 4):
            self._clients[0].process.send_signal(signal.SIGSTOP if kill % 5 == 1 else signal.SIGCONT)

    def _disrupt(self, kill: int) -> None:  # subclasses disrupt other parts in turns
        """Kill the server and start another."""
        self._proxy.target = None
        self._server.process.kill()
        self._server.process.communicate()
        self._start_server()

    def _start_clients(self, address: str, stack: ExitStack) -> None:
        for number in range(CLIENTS):
            name, room = f"c{number}", ROOMS[number % len(ROOMS)]
            command = [sys.executable, str(ROOT / "chat_client.py"), address]
            command += ["--name", name, "--color", "red", *(["--room", room] if room != "lobby" else [])]
            command += ["--log-file", str(self._folder / f"{name}.log"), "--timeout", str(TIMEOUT_SECONDS)]
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            client = Client(name, room, stack.enter_context(process))
            stack.callback(process.kill)
            reader = threading.Thread(target=client.read)
            reader.start()
            stack.callback(reader.join)
            stack.callback(process.kill)
            self._clients.append(client)
        for client in self._clients:
            if not client.entered.wait(END_SECONDS):
                raise TimeoutError(f"{client.name} did not sign in")
        writer = threading.Thread(target=self._post_until_stopped)
        writer.start()
        stack.callback(writer.join)
        stack.callback(self._stopped.set)

    def _post_until_stopped(self) -> None:
        while not self._stopped.wait(POST_SECONDS):
            for client in self._clients:
                client.post()

    def _wait_for_lines(self) -> None:
        goal = self._seen() + self._rng.randint(*LINES_PER_KILL) * CLIENTS
        self._wait(lambda: self._seen() >= goal, END_SECONDS)

    def _seen(self) -> int:
        return sum(len(client.seen) for client in self._clients)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds} s: {self._missing()}")
            threading.Event().wait(0.02)

    def _expected(self, room: str) -> set[str]:
        return {line for client in self._clients if client.room == room for line in client.posted}

    def _missing(self) -> str:
        """Return what each client has not seen, to find out why."""
        rows = []
        for client in self._clients:
            missing = sorted(self._expected(client.room) - set(client.seen))
            rows.append(f"{client.name} lacks {len(missing)} {missing[:5]}, code {client.process.poll()}")
        return "; ".join(rows)

    def _all_seen(self) -> bool:
        return all(self._expected(client.room) <= set(client.seen) for client in self._clients)

    def _end_clients(self) -> list[int]:
        for client in self._clients:
            client.end()
        return [client.process.wait(END_SECONDS) for client in self._clients]

    def _evaluate(self, codes: list[int]) -> Outcome:
        lost = doubled = disordered = misstored = 0
        for room in ROOMS:
            stored = [line.decode().split()[-1] for line in self._stored_lines(room)]
            expected = self._expected(room)
            misstored += len(expected ^ set(stored)) + len(stored) - len(set(stored))
            for client in self._clients:
                if client.room == room:
                    lost += len(expected - set(client.seen))
                    doubled += len(client.seen) - len(set(client.seen))
                    disordered += client.seen != stored
        posted = sum(len(client.posted) for client in self._clients)
        return Outcome(self._kills, posted, lost, doubled, disordered, misstored, codes)

    def _stored_lines(self, room: str) -> list[bytes]:
        """Return the lines that the journal stores of a room, after the last post."""
        self._server.stop()
        journal = SqliteJournal(self._folder / "chat_journal.db")
        try:
            return stored_lines(journal, room)
        finally:
            journal.close()


def stored_lines(journal: Journal, room: str) -> list[bytes]:
    """Return all lines that a journal stores of a room."""
    pages = journal.read_pages(room, 0, journal.last_seq(room), sys.maxsize)
    return b"".join(page.data for page in pages).splitlines()


def main(story: type[Story] = Story) -> int:
    """Run a story and print its outcome; return 1 if something went wrong."""
    text = sys.modules[story.__module__].__doc__
    options = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = story(Path(folder), given.kills, given.seed).play()
    sys.stdout.write(f"{outcome}\n")
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
