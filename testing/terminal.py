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

from hubbub.color import COLORS
from testing.waiting import ROOT

WAIT_SECONDS = 10.0  # for a text to appear, on a slow machine with the program's start
POLL_SECONDS = 0.02

ENTER = "\r"
TAB = "\t"
ESCAPE = "\x1b"
BACKSPACE = "\x7f"
DELETE = "\x1b[3~"
HOME = "\x1b[H"
UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
PAGE_UP, PAGE_DOWN = "\x1b[5~", "\x1b[6~"
SHIFT_TAB = "\x1b[Z"
CTRL_B = "\x02"
CTRL_C = "\x03"
CTRL_D = "\x04"
CTRL_E = "\x05"
CTRL_F = "\x06"
CTRL_H = "\x08"
CTRL_L = "\x0c"
CTRL_R = "\x12"
CTRL_T = "\x14"
CTRL_Z = "\x1a"
CTRL_UNDERSCORE = "\x1f"
FOCUS_IN, FOCUS_OUT = "\x1b[I", "\x1b[O"
BACKGROUND_QUERY = b"\x1b]11;?\x07"


def environment(tmp_path: Path, **changes: str) -> dict[str, str]:
    """Return the environment of a program under test: a colour terminal, and a home folder in `tmp_path`."""
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "VIRTUAL_ENV"}}
    return {**inherited, "HOME": str(tmp_path), "TERM": "xterm-256color", "LANG": "C.UTF-8", "TZ": "UTC", **changes}


def shown_color(name: str) -> str:
    """Return one of color.COLORS as pyte shows it: hexadecimal digits."""
    return "".join(f"{part:02x}" for part in COLORS[name].rgb)


class _Emulator(pyte.Screen):
    """A screen that stores rows that scroll off, counts bells, and sends its answers to queries to `answer`."""

    def __init__(self, columns: int, rows: int, answer: Callable[[str], None]) -> None:
        self.scrolled: list[str] = []
        self.bells = 0
        self._answer = answer
        super().__init__(columns, rows)

    def index(self) -> None:
        """Move down a row; on the last row, scroll."""
        if self.cursor.y == self.lines - 1:
            self.scrolled.append(_text_of(self.buffer[0], self.columns))
        super().index()

    def erase_in_display(self, how: int = 0, *args: object, **others: object) -> None:
        """Clear the screen or a part of it; 3 also clears the rows that scrolled off."""
        if how == 3:
            self.scrolled.clear()
        super().erase_in_display(how, *args, **others)

    def bell(self, *args: object) -> None:
        """Count a bell."""
        self.bells += 1

    def write_process_input(self, data: str) -> None:
        """Send the answer to a query."""
        self._answer(data)


def _text_of(row: Any, columns: int) -> str:
    # A wide character fills two cells; pyte's second one is empty.
    return "".join(row[x].data for x in range(columns)).rstrip()


class Terminal:
    """Runs a program on a pseudo-terminal; a context manager that kills it at the end."""

    def __init__(
        self, program: str, arguments: Sequence[str], env: Mapping[str, str], rows: int = 24, columns: int = 80
    ) -> None:
        self.background = ""  # the answer to a background query; empty for none
        self.silent = False  # answers no query
        self._hung_up = False
        self.screen = _Emulator(columns, rows, self._answer)
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
        if self._hung_up:
            return
        if self._child.isalive():
            self._child.kill(signal.SIGKILL)
            self._child.wait()
        # Seconds; the program has ended already. The type stubs leave the attribute out.
        self._child.ptyproc.delayafterclose = 0.0  # type: ignore[attr-defined]
        self._child.close()

    def settings(self) -> list[Any]:
        """Return the terminal's settings, as of tcgetattr."""
        return termios.tcgetattr(self._child.child_fd)

    def type(self, text: str) -> None:
        """Press keys."""
        self._child.send(text.encode())

    def paste(self, text: str) -> None:
        """Paste text in brackets, as a terminal with bracketed paste does."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def kill(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._child.kill(number)

    def hang_up(self) -> int:
        """Close the terminal and return the exit code of the program."""
        # pexpect's own close also kills the program.
        pty: Any = self._child.ptyproc  # type: ignore[attr-defined]  # the type stubs leave it out
        pty.fileobj.close()
        pty.closed = self._child.closed = self._hung_up = True
        assert self._child.pid is not None  # it was started
        return os.waitstatus_to_exitcode(os.waitpid(self._child.pid, 0)[1])

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the terminal."""
        self.screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    @property
    def rows(self) -> list[str]:
        """The rows of the screen, without trailing spaces."""
        return [_text_of(row, self.screen.columns) for row in self._buffer()]

    @property
    def all_rows(self) -> list[str]:
        """The rows that scrolled off, and those of the screen."""
        return [*self.screen.scrolled, *self.rows]

    @property
    def input_row(self) -> str:
        """The row of the cursor."""
        return self.rows[self.screen.cursor.y]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.rows)

    def color_of(self, word: str) -> str:
        """Return the colour of the first `word` on the screen, six hexadecimal digits or `default`."""
        y, x = next((y, row.index(word)) for y, row in enumerate(self.rows) if word in row)
        colors = {self.screen.buffer[y][column].fg for column in range(x, x + len(word))}
        assert len(colors) == 1, f"{word!r} has {colors}"
        color: str = colors.pop()
        return color

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Read the screen until `condition` is true; fail after WAIT_SECONDS with a message that names `what`."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not appear; the screen:\n{self.text}"
            self._read()

    def wait_for(self, text: str) -> None:
        """Wait until `text` is on the screen."""
        self.wait(lambda: text in self.text, repr(text))

    def wait_for_input(self, text: str) -> None:
        """Wait until the row of the cursor is `text`, except for trailing spaces."""
        self.wait(lambda: self.input_row == text.rstrip(), f"the input row {text!r}")

    def wait_for_exit(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + WAIT_SECONDS
        while self._child.isalive() and time.monotonic() < deadline:
            self._read()
        while self._read():
            pass
        assert not self._child.isalive(), f"it still runs; the screen:\n{self.text}"
        assert self._child.exitstatus is not None, f"ended by signal {self._child.signalstatus}"
        return self._child.exitstatus

    def _answer(self, text: str) -> None:
        if not self.silent:
            self.type(text)

    def _buffer(self) -> list[Any]:
        return [self.screen.buffer[y] for y in range(self.screen.lines)]

    def _read(self) -> bool:
        """Read new output, waiting at most POLL_SECONDS; return whether there was some."""
        try:
            data = self._child.read_nonblocking(65_536, POLL_SECONDS)
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF:
            time.sleep(POLL_SECONDS)  # only the end of the process is missing
            return False
        self.raw += data
        if BACKGROUND_QUERY in data and self.background:
            self._answer(f"\x1b]11;{self.background}\x07")
        self._stream.feed(data)
        return True
