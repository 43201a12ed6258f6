"""A program on a real pseudo-terminal, whose screen can be read back."""

import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pexpect
import pyte

ROOT = Path(__file__).parent.parent
WAIT_SECONDS = 10.0  # for anything to appear: a slow machine's start included
POLL_SECONDS = 0.02

ENTER = "\r"
CTRL_C = "\x03"
CTRL_D = "\x04"


def environment(tmp_path: Path, **changes: str) -> dict[str, str]:
    """Return what a program started by a test sees: a colourful terminal, and no file of the person who tests."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "VIRTUAL_ENV"}}
    return {**kept, "HOME": str(tmp_path), "TERM": "xterm-256color", "LANG": "C.UTF-8", "TZ": "UTC", **changes}


class Terminal:
    """Runs one of our programs on `rows` by `columns`; a context manager that leaves no process behind."""

    def __init__(
        self, program: str, arguments: Sequence[str], env: Mapping[str, str], rows: int = 24, columns: int = 80
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""  # everything that was written to the terminal
        self._child: pexpect.spawn[bytes] = pexpect.spawn(
            sys.executable, [str(ROOT / program), *arguments], env=dict(env), dimensions=(rows, columns), timeout=None
        )
        self._child.delaybeforesend = None
        self.settings_before = self.settings()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child.isalive():
            self._child.kill(signal.SIGKILL)
            self._child.wait()
        # Seconds, for an end that is here already; the type stubs leave it out.
        self._child.ptyproc.delayafterclose = 0.0  # type: ignore[attr-defined]
        self._child.close()

    def settings(self) -> list[Any]:
        """Return the terminal's settings, as `stty` would show them."""
        return termios.tcgetattr(self._child.child_fd)

    def type(self, text: str) -> None:
        """Press keys."""
        self._child.send(text.encode())

    def kill(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._child.kill(number)

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size, as a window does."""
        self.screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    @property
    def rows(self) -> list[str]:
        """The rows of the screen, without the spaces at their ends."""
        # A wide character fills two cells; pyte's second one is empty.
        return ["".join(row[x].data for x in range(self.screen.columns)).rstrip() for row in self._buffer()]

    @property
    def input_row(self) -> str:
        """The row in which the cursor stands."""
        return self.rows[self.screen.cursor.y]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.rows)

    def color_of(self, word: str) -> str:
        """Return the colour of the letters of `word`, six hexadecimal digits or `default`, where it first stands."""
        y, x = next((y, row.index(word)) for y, row in enumerate(self.rows) if word in row)
        colors = {self.screen.buffer[y][column].fg for column in range(x, x + len(word))}
        assert len(colors) == 1, f"{word!r} has {colors}"
        color: str = colors.pop()
        return color

    def wait(self, true: Callable[[], bool], what: str) -> None:
        """Read the screen until `true`, or fail after WAIT_SECONDS saying that `what` did not come."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not true():
            assert time.monotonic() < deadline, f"{what} did not come; the screen:\n{self.text}"
            self._read()

    def wait_for(self, text: str) -> None:
        """Wait until `text` is on the screen."""
        self.wait(lambda: text in self.text, repr(text))

    def wait_for_input(self, text: str) -> None:
        """Wait until the row of the cursor is exactly `text`, but for spaces at its end."""
        self.wait(lambda: self.input_row == text.rstrip(), f"the input row {text!r}")

    def wait_for_exit(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self._child.isalive() and time.monotonic() < deadline:
            self._read()
        while self._read():
            pass
        assert not self._child.isalive(), f"it goes on; the screen:\n{self.text}"
        assert self._child.exitstatus is not None, f"ended by signal {self._child.signalstatus}"
        return self._child.exitstatus

    def _buffer(self) -> list[Any]:
        return [self.screen.buffer[y] for y in range(self.screen.lines)]

    def _read(self) -> bool:
        """Show what was written since, waiting POLL_SECONDS for it; False if that was nothing."""
        try:
            data = self._child.read_nonblocking(65_536, POLL_SECONDS)
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF:
            time.sleep(POLL_SECONDS)  # nothing to wait for but the end of the process
            return False
        self.raw += data
        self._stream.feed(data)
        return True
