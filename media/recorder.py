"""A recorder for the chat: real clients and servers, and what their terminals show at each moment.

The shell around a client is simulated: it shows the command without an address, because here the server takes a free
port.
"""

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for `testing`: Python itself looks only in the folder of the script

from testing.terminal import ENTER, WAIT_SECONDS, Terminal, environment  # noqa: E402  # found through the path above

ROWS = 18
COLUMNS = 62
SHELL = "$ "
COMMAND = "python3 chat_client.py"
FOREGROUND = "#d6d9df"
BACKGROUND = "#101216"

# Seconds.
KEY_DELAYS = (0.04, 0.07, 0.03, 0.05, 0.08, 0.04, 0.06)  # from one key to the next, over and over
SHORT_PAUSE = 0.4
READING_PAUSE = 0.8
LONG_PAUSE = 1.6
FINAL_PAUSE = 2.5  # before it all starts again


class TextStyle(NamedTuple):
    """The style of characters. A colour is six hexadecimal digits, or `default`."""

    foreground: str
    background: str
    bold: bool


class Run(NamedTuple):
    """Adjacent characters of one style; a wide character is a run of its own."""

    column: int
    cells: int
    text: str
    style: TextStyle
    wide: bool


Row = tuple[Run, ...]


class Frame(NamedTuple):
    """What a terminal shows. The cursor is a column and a row; the title is the one that the program has set."""

    rows: tuple[Row, ...]
    cursor: tuple[int, int]
    title: str


class TimedFrame(NamedTuple):
    """A frame, and the second at which it appears."""

    at: float
    frame: Frame


@dataclass(frozen=True, slots=True)
class Recording:
    """The frames of each user's terminal, the length, and the time to show where no motion is wanted, in seconds."""

    screens: Mapping[str, Sequence[TimedFrame]]
    length: float
    poster_time: float
    killed_at: float  # second at which the server is killed


def take_frame(screen: Any) -> Frame:
    """Return what a pyte screen shows now."""
    rows = ([screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines))
    return Frame(tuple(read_row(row) for row in rows), (screen.cursor.x, screen.cursor.y), screen.title)


def read_row(characters: Sequence[Any]) -> Row:
    """Return the visible runs of a row."""
    columns = range(len(characters))
    groups = itertools.groupby(columns, key=lambda column: run_key(characters, column))
    parts = (trim_blanks(characters, list(group)) for _, group in groups)
    return tuple(make_run(characters, part) for part in parts if part)


def run_key(characters: Sequence[Any], column: int) -> tuple[TextStyle, int]:
    """Return a key that the cells of one run share: their style, and the first column of a wide character."""
    if not characters[column].data:  # the second cell of a wide one
        column -= 1
    is_wide = column + 1 < len(characters) and not characters[column + 1].data
    return style_of(characters[column]), column if is_wide else -1


def style_of(character: Any) -> TextStyle:
    """Return the style of a pyte character; reverse video swaps its colours."""
    foreground, background = character.fg, character.bg
    if character.reverse:
        foreground, background = (
            resolve_color(background, BACKGROUND),
            resolve_color(foreground, FOREGROUND),
        )
    return TextStyle(foreground, background, character.bold)


def resolve_color(color: str, default: str) -> str:
    """Return `color`, or the terminal's if it is `default`, in six hexadecimal digits."""
    return default.removeprefix("#") if color == "default" else color


def trim_blanks(characters: Sequence[Any], columns: list[int]) -> list[int]:
    """Return the columns without blanks at their ends, unless these have a background colour."""
    seen = [
        column
        for column in columns
        if characters[column].data != " " or style_of(characters[column]).background != "default"
    ]
    return columns[columns.index(seen[0]) : columns.index(seen[-1]) + 1] if seen else []


def make_run(characters: Sequence[Any], columns: Sequence[int]) -> Run:
    """Return the run in these columns."""
    first, last = columns[0], columns[-1]
    text = "".join(characters[column].data for column in columns)
    return Run(first, len(columns), text, style_of(characters[first]), wide=not characters[last].data)


# ----------------------------------------------------------------------------------------------------------- recording


class RecordedTerminal(Terminal):
    """The terminal of one user, which captures its own frames.

    Until `start` it shows a simulated shell; the client is already there, but stopped.
    """

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        super().__init__("chat_client.py", arguments, environment(folder, COLORTERM="truecolor"), ROWS, COLUMNS)
        self.kill(signal.SIGSTOP)
        self.background = "rgb:{}/{}/{}".format(*(BACKGROUND[start : start + 2] for start in (1, 3, 5)))
        self.frames: list[TimedFrame] = []
        self._in_shell = True
        self._echo(SHELL)

    def type(self, text: str) -> None:
        """Press keys, in the client or in the shell around it."""
        if self._in_shell:
            self._echo(text)
        else:
            super().type(text)

    def start(self) -> None:
        """Press Enter in the shell and let the client run."""
        self._echo("\r\n")
        self._in_shell = False
        self.kill(signal.SIGCONT)

    def capture(self, now: float) -> None:
        """Store a frame if the screen has changed, after reading all output of the client."""
        while not self._in_shell and self._read():
            pass
        frame = take_frame(self.screen)
        if not self.frames or frame != self.frames[-1].frame:
            self.frames.append(TimedFrame(now, frame))

    def _echo(self, text: str) -> None:
        self._stream.feed(text.encode())


class Server:
    """The server, which can be killed and started again; a context manager that leaves no process behind."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Start it on a free port. Raises RuntimeError if it does not start."""
        self._folder = folder
        self._options = options
        self._process = self._start(port="0")
        assert self._process.stdout is not None
        start, _, self.address = self._process.stdout.readline().strip().rpartition(" ")
        if start != "listening on":
            self.kill()
            raise RuntimeError("the server did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """Kill it without a clean shutdown."""
        with self._process as process:
            process.kill()

    def restart(self) -> None:
        """Start it again on its port, and do not wait until it listens."""
        self._process = self._start(port=self.address.rpartition(":")[2])

    def _start(self, port: str) -> subprocess.Popen[str]:
        options = ["--port", port, "--log-file", str(self._folder / "server.log"), *self._options]
        command = [sys.executable, str(ROOT / "chat_server.py"), *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class Recorder:
    """A recorder of several terminals, with typing at a human pace. Every method takes as long as what it shows."""

    def __init__(self, server: Server, terminals: Mapping[str, RecordedTerminal]) -> None:
        self.terminals = terminals
        self.poster_time = 0.0
        self.killed_at = 0.0
        self._server = server
        self._started = time.monotonic()
        self._delays = itertools.cycle(KEY_DELAYS)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def pause(self, seconds: float) -> None:
        """Capture for this time."""
        end = self.now + seconds
        while self.now < end:
            self._capture_all()

    def await_text(self, text: str, *terminals: RecordedTerminal) -> None:
        """Capture until `text` is on the screens of all these terminals. Raises TimeoutError."""
        end = self.now + WAIT_SECONDS
        while not all(text in terminal.text for terminal in terminals):
            if self.now > end:
                raise TimeoutError("\n".join([f"{text!r} did not come; the screens:", *(w.text for w in terminals)]))
            self._capture_all()

    def type(self, *texts: tuple[RecordedTerminal, Sequence[str]]) -> None:
        """Press keys one by one, in all terminals at the same time."""
        terminals = [terminal for terminal, _ in texts]
        for keys in itertools.zip_longest(*(text for _, text in texts), fillvalue=""):
            for terminal, key in zip(terminals, keys, strict=True):
                terminal.type(key)
            self.pause(next(self._delays))

    def enter(self, *terminals: RecordedTerminal) -> None:
        """Press Enter after a short pause."""
        self.pause(SHORT_PAUSE / 2)
        for terminal in terminals:
            terminal.type(ENTER)

    def type_line(self, terminal: RecordedTerminal, text: str, then: float) -> None:
        """Type a line, press Enter, and pause."""
        self.type((terminal, text))
        self.enter(terminal)
        self.pause(then)

    def kill_server(self) -> None:
        """Kill the server and note the time."""
        self.killed_at = self.now
        self._server.kill()

    def restart_server(self) -> None:
        """Start the server again."""
        self._server.restart()

    def choose_poster(self) -> None:
        """Make this the moment that is shown where no motion is wanted."""
        self.poster_time = self.now

    def recording(self) -> Recording:
        """Return what was captured so far."""
        screens = {name: terminal.frames for name, terminal in self.terminals.items()}
        return Recording(screens, self.now, self.poster_time, self.killed_at)

    def _capture_all(self) -> None:
        for terminal in self.terminals.values():
            terminal.capture(self.now)
