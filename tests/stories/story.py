"""The promise on trial: real clients, a real server that is killed again and again, and a line that cuts and stutters.

    python3 -m tests.stories.story [--kills 100] [--seed 1]

Eight clients post numbered lines in three rooms through a proxy, which splits and delays what passes and cuts
connections in the middle of lines in both directions; one client is stopped with SIGSTOP and continued; the server is
killed with SIGKILL and started again. At the end every client must have seen every line of its room exactly once, all
in the same order, and the journal must hold just that. It talks to loopback only and leaves no process.
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
PIECE_BYTES = 200  # the most that the proxy passes on at once
CUT_BYTES = (2_000, 20_000)  # after so many, from and to, it cuts a connection
LINES_A_KILL = (20, 60)  # seen between two kills, from and to
POST_SECONDS = 0.02  # between two lines of a client
TIMEOUT_SECONDS = 600  # of a client whose attempts all meet a server that is just dead: it waits up to 30 s after each
END_SECONDS = 180.0  # for everybody to have everything, when nothing is killed any more
SAID = re.compile(r"^\d\d:\d\d (c\d): (\1-\d+)$")


class Proxy(Relay):
    """Passes bytes between clients and whatever server there is, in small pieces, and cuts at random."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._left: dict[socket.socket, int] = {}  # bytes until the cut

    def _pass_on(self, end: socket.socket) -> None:
        left = self._left.get(end) or self._rng.randint(*CUT_BYTES)
        try:
            data = end.recv(self._rng.randint(1, PIECE_BYTES))
            piece = data[:left]
            self._peers[end].sendall(piece)
        except OSError:
            data = piece = b""
        self._left[end] = left - len(piece)
        if not data or not self._left[end]:
            self._cut(end)

    def _cut(self, end: socket.socket) -> None:
        for sock in (end, self._peers[end]):
            self._left.pop(sock, None)
        super()._cut(end)


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
        """Take what it shows until it ends; on a thread of its own."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if match := SAID.match(line.rstrip("\n")):
                self.seen.append(match.group(2))
            else:
                self.other.append(line)
            if f"you are in {self.room}" in line:
                self.entered.set()

    def post(self) -> None:
        """Say its next line."""
        assert self.process.stdin is not None
        self.posted.append(f"{self.name}-{len(self.posted) + 1}")
        self.process.stdin.write(self.posted[-1] + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """End its input: it leaves when all is acknowledged."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


@dataclass(frozen=True)
class Outcome:
    """What the trial showed."""

    kills: int
    posted: int
    lost: int  # lines that a client of the room did not see, all clients added up
    doubled: int  # lines that a client saw more than once
    disordered: int  # clients that saw an order other than the journal's
    unkept: int  # lines that the journal lacks or has too much
    exit_codes: list[int]

    @property
    def kept_its_promise(self) -> bool:
        """Whether nothing at all went wrong."""
        wrong = (self.lost, self.doubled, self.disordered, self.unkept, *self.exit_codes)
        return self.posted > 0 and not any(wrong)

    def __str__(self) -> str:
        return (
            f"{self.posted} lines posted over {self.kills} kills: {self.lost} lost, {self.doubled} doubled, "
            f"{self.disordered} clients in another order, {self.unkept} wrong in the journal, "
            f"exit codes {self.exit_codes}"
        )


class Story:
    """Plays it once, in `folder`."""

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self._folder = folder
        self._kills = kills
        self._rng = random.Random(seed)  # noqa: S311  # no secret
        self._clients: list[Client] = []
        self._stopped = threading.Event()

    def play(self) -> Outcome:
        """Return what came of it. Raises TimeoutError with what is missing, if it does not come to an end."""
        with ExitStack() as stack:
            address = self._open(stack)
            self._start_clients(address, stack)
            for kill in range(self._kills):
                self._let_lines_pass()
                self._hold_or_let_go(kill)
                self._make_trouble(kill)
            self._clients[0].process.send_signal(signal.SIGCONT)
            self._let_lines_pass()
            self._stopped.set()
            self._wait(self._everybody_has_everything, END_SECONDS)
            codes = self._end_clients()
            return self._judge(codes)

    def _open(self, stack: ExitStack) -> str:
        """Start what is to be killed, until the stack ends; return where the clients find it."""
        self._proxy = stack.enter_context(Proxy(self._rng))
        self._start_server()
        stack.callback(lambda: self._server.stop())
        return f"127.0.0.1:{self._proxy.port}"

    def _start_server(self) -> None:
        self._server = ServerProcess(self._folder, "--rate", "0")
        self._proxy.target = self._server.address

    def _hold_or_let_go(self, kill: int) -> None:
        """Hold one client for a while."""
        if kill % 5 in (1, 4):
            self._clients[0].process.send_signal(signal.SIGSTOP if kill % 5 == 1 else signal.SIGCONT)

    def _make_trouble(self, kill: int) -> None:  # for those who trouble others in turns
        """Kill the server, and start another."""
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
                raise TimeoutError(f"{client.name} did not get in")
        writer = threading.Thread(target=self._keep_posting)
        writer.start()
        stack.callback(writer.join)
        stack.callback(self._stopped.set)

    def _keep_posting(self) -> None:
        while not self._stopped.wait(POST_SECONDS):
            for client in self._clients:
                client.post()

    def _let_lines_pass(self) -> None:
        goal = self._seen() + self._rng.randint(*LINES_A_KILL) * CLIENTS
        self._wait(lambda: self._seen() >= goal, END_SECONDS)

    def _seen(self) -> int:
        return sum(len(client.seen) for client in self._clients)

    def _wait(self, true: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds} s: {self._missing()}")
            threading.Event().wait(0.02)

    def _expected(self, room: str) -> set[str]:
        return {line for client in self._clients if client.room == room for line in client.posted}

    def _missing(self) -> str:
        """Say what each client has not seen, for the one who has to find out why."""
        rows = []
        for client in self._clients:
            missing = sorted(self._expected(client.room) - set(client.seen))
            rows.append(f"{client.name} lacks {len(missing)} {missing[:5]}, code {client.process.poll()}")
        return "; ".join(rows)

    def _everybody_has_everything(self) -> bool:
        return all(self._expected(client.room) <= set(client.seen) for client in self._clients)

    def _end_clients(self) -> list[int]:
        for client in self._clients:
            client.end()
        return [client.process.wait(END_SECONDS) for client in self._clients]

    def _judge(self, codes: list[int]) -> Outcome:
        lost = doubled = disordered = unkept = 0
        for room in ROOMS:
            kept = [line.decode().split()[-1] for line in self._kept(room)]
            expected = self._expected(room)
            unkept += len(expected ^ set(kept)) + len(kept) - len(set(kept))
            for client in self._clients:
                if client.room == room:
                    lost += len(expected - set(client.seen))
                    doubled += len(client.seen) - len(set(client.seen))
                    disordered += client.seen != kept
        posted = sum(len(client.posted) for client in self._clients)
        return Outcome(self._kills, posted, lost, doubled, disordered, unkept, codes)

    def _kept(self, room: str) -> list[bytes]:
        """Return what the journal holds of a room, when nobody says anything any more."""
        self._server.stop()
        journal = SqliteJournal(self._folder / "chat_journal.db")
        try:
            return lines_kept(journal, room)
        finally:
            journal.close()


def lines_kept(journal: Journal, room: str) -> list[bytes]:
    """Return every line that a journal holds of a room."""
    pages = journal.read_pages(room, 0, journal.last_seq(room), sys.maxsize)
    return b"".join(page.data for page in pages).splitlines()


def main(story: type[Story] = Story) -> int:
    """Play a story and print what came of it; the exit code is 1 if the promise was broken."""
    text = sys.modules[story.__module__].__doc__
    options = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = story(Path(folder), given.kills, given.seed).play()
    sys.stdout.write(f"{outcome}\n")
    return 0 if outcome.kept_its_promise else 1


if __name__ == "__main__":
    sys.exit(main())
