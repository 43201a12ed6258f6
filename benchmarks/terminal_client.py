"""Measure the terminal client: its start, a flood of lines, and the delay of keys.

    python3 -m benchmarks.terminal_client [--runs 5]

It runs chat_client.py on a pseudo-terminal of 24 by 80 and plays the server itself, on loopback. Each run starts a new
client with saved settings and measures:

- from the start of the process until the prompt is written, and beside it what Python and prompt_toolkit take alone;
- from sending 10,000 messages at once until the last of them is written;
- from pressing a key, every 20 to 50 ms, until it is written in the input line: when idle, and in the flood. Each key
  is another letter that occurs in no message, so that its output can be found.

It prints the medians and stops all processes.
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
from testing.terminal import environment
from testing.waiting import ROOT

ROWS, COLUMNS = 24, 80
WAIT_SECONDS = 8.0  # for anything to be written; several times what the slowest takes
KEY_SECONDS = (0.02, 0.05)  # between two keys: fast typing, and a key that is held down
IDLE_KEYS = [chr(code).encode() for code in range(0x3B1, 0x3C9)]  # Greek, without accents
FLOOD_KEYS = [chr(code).encode() for code in range(0x400, 0x460)]  # Cyrillic; enough for three seconds
TAIL_BYTES = 16  # of earlier output; as long as the longest text that is searched
CHUNK_BYTES = 65_536
BACKGROUND = b"\x1b]11;rgb:0000/0000/0000\x07\x1b[?62c"  # the answer of a dark terminal

PROMPT = b"lobby>"  # the client does not write the space after it but moves the cursor
LINES = 10_000
LAST = f"line {LINES} ".encode()
WORDS = "of a long discussion in which all members write"
COLORS = ("orange", "green", "cyan", "purple")

PYTHON_ALONE = {"python3 -c pass": "pass", "import prompt_toolkit": "import prompt_toolkit"}


class Terminal:
    """A client on a pseudo-terminal; `close` ends it."""

    def __init__(self, folder: Path) -> None:
        self._descriptor, slave = pty.openpty()
        termios.tcsetwinsize(slave, (ROWS, COLUMNS))
        options = ["--config", str(folder), "--log-file", str(folder / "client.log")]
        command = [sys.executable, str(ROOT / "chat_client.py"), *options]
        self._tail = b""  # of the output: a text may arrive in two pieces
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment(folder), start_new_session=True
        )
        os.close(slave)

    def close(self) -> None:
        """Kill the client and close the terminal."""
        self._process.kill()
        self._process.wait()
        os.close(self._descriptor)

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._descriptor, key)

    def read(self, seconds: float) -> bytes:
        """Return the next output, after the tail of the previous one; empty if there is none within `seconds`."""
        if not select.select([self._descriptor], [], [], max(0.0, seconds))[0]:
            return b""
        written = self._tail + os.read(self._descriptor, CHUNK_BYTES)
        self._tail = written[-TAIL_BYTES:]
        if QUERY_BACKGROUND.encode() in written:
            self.press(BACKGROUND)
            self._tail = b""
        return written

    def wait_for(self, text: bytes) -> None:
        """Wait until `text` is written. Raises TimeoutError."""
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in self.read(deadline - time.monotonic()):
            _check_deadline(deadline, text)


def _check_deadline(deadline: float, text: bytes) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"{text.decode()!r} was not written within {WAIT_SECONDS:g} s")


@contextmanager
def client_in_lobby(server: FakeServer, folder: Path) -> Iterator[tuple[Terminal, FakePeer, float]]:
    """Start a client and sign it in; yield its terminal, its connection, and the seconds until its prompt."""
    terminal = Terminal(folder)
    try:
        peer = server.accept()
        peer.admit()
        terminal.wait_for(PROMPT)
        yield terminal, peer, time.monotonic() - terminal.started_at
    finally:
        terminal.close()
        server.close_peers()


class Typing(NamedTuple):
    """The delay of each key, and the time until the last text was written, in seconds."""

    delays: list[float]
    seconds: float


def type_until(terminal: Terminal, keys: Sequence[bytes], last: bytes) -> Typing:
    """Press `keys` until `last` is written, then wait until all pressed keys are written."""
    start = time.monotonic()
    deadline = start + WAIT_SECONDS
    due, end = start, None
    waiting = list(reversed(keys))
    pressed: dict[bytes, float] = {}
    delays: list[float] = []
    while end is None or pressed:
        _check_deadline(deadline, last)
        pressing = bool(waiting) and end is None
        if pressing and time.monotonic() >= due:
            pressed[waiting[-1]] = time.monotonic()
            terminal.press(waiting.pop())
            due += random.uniform(*KEY_SECONDS)  # not a secret
        written = terminal.read((due if pressing else deadline) - time.monotonic())
        now = time.monotonic()
        delays += [now - pressed.pop(key) for key in list(pressed) if key in written]
        if end is None and last in written:
            end = now
    return Typing(delays, end - start)


def flood_messages() -> bytes:
    """Return the lines of the flood, some 60 characters each, from a few senders."""
    now = int(time.time() * 1000)
    senders = [f"sender{number} {color}" for number, color in enumerate(COLORS)]
    return b"".join(
        f"/say lobby {number} {now} {senders[number % len(senders)]} line {number} {WORDS}\n".encode()
        for number in range(1, LINES + 1)
    )


def measure_client(server: FakeServer, folder: Path) -> dict[str, float]:
    """Run one client and return its figures, in milliseconds."""
    with client_in_lobby(server, folder) as (terminal, peer, start), ThreadPoolExecutor(1) as sender:
        idle = type_until(terminal, IDLE_KEYS, IDLE_KEYS[-1])
        sent = sender.submit(peer.sock.sendall, flood_messages())
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
    return {name: 1000 * value for name, value in seconds.items()}


def measure_python(code: str) -> float:
    """Return how many milliseconds a Python takes that only runs `code`."""
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return 1000 * (time.monotonic() - start)


def main() -> None:
    """Print the medians of several runs."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, FakeServer() as server:
        saved = Settings(name="alice", color="red", server=server.address)
        SettingsFile(Path(folder), print).change(lambda _: saved)
        for _ in range(given.runs):
            python = {name: measure_python(code) for name, code in PYTHON_ALONE.items()}
            runs.append({**python, **measure_client(server, Path(folder))})
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    for name, median in medians.items():
        spread = " ".join(f"{milliseconds:.0f}" for milliseconds in sorted(run[name] for run in runs))
        print(f"{name:22} {median:5.0f} ms, median of {spread}")
    print(f"key in the flood / when idle, p50 {medians['key in the flood, p50'] / medians['key when idle, p50']:.1f}")


if __name__ == "__main__":
    main()
