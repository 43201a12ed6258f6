"""Rough speed of the terminal client: its start, a flood of lines, and the keys that are pressed meanwhile.

    python3 -m benchmarks.client [--runs 5]

Runs chat_client.py on a pseudo-terminal of 24 by 80, which is read as fast as it is written and shown nowhere, and
plays the server itself, on loopback. Each run is a client of its own, with settings that are remembered:

- from the start of the process until the prompt is written, and beside it what Python and the line editor's library
  take alone;
- from sending 10,000 messages at once until the last of them is written;
- from pressing a key, every 20 to 50 ms, until it is written in the input line: with nothing else to do, and in the
  flood. Every key is another letter, and none of them comes in a message, so that each is found when it is written.

It ends with the medians and leaves no process.
"""

import argparse
import os
import pty
import random
import select
import statistics
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hubbub.client.state.settings import Settings, SettingsFile
from hubbub.color import QUERY_BACKGROUND
from testing.fake_server import FakePeer, FakeServer
from testing.terminal import ROOT, environment

ROWS, COLUMNS = 24, 80
WAIT_SECONDS = 8.0  # for anything to be written; several times what the slowest takes
KEY_SECONDS = (0.02, 0.05)  # between two keys: who types fast, and a key that is held down
IDLE_KEYS = [chr(code).encode() for code in range(0x3B1, 0x3C9)]  # Greek, without accents
FLOOD_KEYS = [chr(code).encode() for code in range(0x400, 0x460)]  # Cyrillic; enough for three seconds
LONGEST_MARK = 16  # bytes of what is looked for in what is written
CHUNK_BYTES = 65_536
BACKGROUND = b"\x1b]11;rgb:0000/0000/0000\x07\x1b[?62c"  # what a dark terminal answers

PROMPT = b"lobby>"  # the space behind it is not written but skipped
LINES = 10_000
LAST = f"line {LINES} ".encode()
WORDS = "of a long talk, in which everybody speaks at once"
COLORS = ("orange", "green", "cyan", "purple")

ALONE = {"python3 -c pass": "pass", "import prompt_toolkit": "import prompt_toolkit"}


class Terminal:
    """A client on a pseudo-terminal; a context manager that leaves no process behind."""

    def __init__(self, folder: Path) -> None:
        self._number, slave = pty.openpty()
        termios.tcsetwinsize(slave, (ROWS, COLUMNS))
        options = ["--config", str(folder), "--log-file", str(folder / "client.log")]
        command = [sys.executable, str(ROOT / "chat_client.py"), *options]
        self._end = b""  # of what was written: what is looked for may come in two pieces
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment(folder), start_new_session=True
        )
        os.close(slave)

    def close(self) -> None:
        """End the client."""
        self._process.kill()
        self._process.wait()
        os.close(self._number)

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._number, key)

    def read(self, seconds: float) -> bytes:
        """Return what is written within `seconds`, as soon as something is, behind the end of what was before."""
        if not select.select([self._number], [], [], max(0.0, seconds))[0]:
            return b""
        written = self._end + os.read(self._number, CHUNK_BYTES)
        self._end = written[-LONGEST_MARK:]
        if QUERY_BACKGROUND.encode() in written:
            self.press(BACKGROUND)
            self._end = b""
        return written

    def wait_for(self, mark: bytes) -> None:
        """Return when `mark` is written. Raises TimeoutError."""
        deadline = time.monotonic() + WAIT_SECONDS
        while mark not in self.read(deadline - time.monotonic()):
            _check(deadline, mark)


def _check(deadline: float, mark: bytes) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"{mark.decode()!r} was not written within {WAIT_SECONDS:g} s")


@contextmanager
def client_in_lobby(server: FakeServer, folder: Path) -> Iterator[tuple[Terminal, FakePeer, float]]:
    """Start a client and let it in; yield its terminal, its connection, and the seconds until its prompt."""
    terminal = Terminal(folder)
    try:
        peer = server.accept()
        peer.admit()
        terminal.wait_for(PROMPT)
        yield terminal, peer, time.monotonic() - terminal.started_at
    finally:
        terminal.close()
        server.close_peers()


class Typed(NamedTuple):
    """What became of the keys: after how many seconds each was written, and after how many the last thing was."""

    delays: list[float]
    seconds: float


def type_until(terminal: Terminal, keys: Sequence[bytes], last: bytes) -> Typed:
    """Press `keys` until `last` is written, and wait until all that were pressed are written, too."""
    start = time.monotonic()
    deadline = start + WAIT_SECONDS
    due, end = start, None
    waiting = list(reversed(keys))
    pressed: dict[bytes, float] = {}
    delays: list[float] = []
    while end is None or pressed:
        _check(deadline, last)
        pressing = bool(waiting) and end is None
        if pressing and time.monotonic() >= due:
            pressed[waiting[-1]] = time.monotonic()
            terminal.press(waiting.pop())
            due += random.uniform(*KEY_SECONDS)  # no secret
        written = terminal.read((due if pressing else deadline) - time.monotonic())
        now = time.monotonic()
        delays += [now - pressed.pop(key) for key in list(pressed) if key in written]
        if end is None and last in written:
            end = now
    return Typed(delays, end - start)


def messages() -> bytes:
    """Return the flood: lines of some 60 characters, by a few people."""
    now = int(time.time() * 1000)
    people = [f"somebody{number} {color}" for number, color in enumerate(COLORS)]
    return b"".join(
        f"/say lobby {number} {now} {people[number % len(people)]} line {number} {WORDS}\n".encode()
        for number in range(1, LINES + 1)
    )


def run(server: FakeServer, folder: Path) -> dict[str, float]:
    """Return what one client takes, in milliseconds."""
    with client_in_lobby(server, folder) as (terminal, peer, start), ThreadPoolExecutor(1) as sender:
        idle = type_until(terminal, IDLE_KEYS, IDLE_KEYS[-1])
        sent = sender.submit(peer.sock.sendall, messages())
        flood = type_until(terminal, FLOOD_KEYS, LAST)
        sent.result()
    seconds = {
        "start to prompt": start,
        f"{LINES:,} lines": flood.seconds,
        "key when idle, p50": statistics.median(idle.delays),
        "key when idle, max": max(idle.delays),
        "key in the flood, p50": statistics.median(flood.delays),
        "key in the flood, max": max(flood.delays),
    }
    return {what: 1000 * each for what, each in seconds.items()}


def run_alone(code: str) -> float:
    """Return how many milliseconds a Python takes that does nothing but `code`."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return 1000 * (time.monotonic() - start)


def main() -> None:
    """Print the medians of several runs, each with a client of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, FakeServer() as server:
        remembered = Settings(name="alice", color="red", server=server.address)
        SettingsFile(Path(folder), print).change(lambda _: remembered)
        for _ in range(given.runs):
            alone = {what: run_alone(code) for what, code in ALONE.items()}
            runs.append({**alone, **run(server, Path(folder))})
    medians = {what: statistics.median(each[what] for each in runs) for what in runs[0]}
    for what, median in medians.items():
        spread = " ".join(f"{milliseconds:.0f}" for milliseconds in sorted(each[what] for each in runs))
        print(f"{what:22} {median:5.0f} ms, median of {spread}")
    print(f"key in the flood / when idle, p50 {medians['key in the flood, p50'] / medians['key when idle, p50']:.1f}")


if __name__ == "__main__":
    main()
