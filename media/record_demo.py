"""Records media/demo.svg: alice and bob in the chat, on two terminals side by side.

Run it as `python3 media/record_demo.py`; it needs what `pip install -e '.[dev]'` brings, and takes as long as the
picture does. The server and both clients are the real ones, and so are the times. Only the shell around a client is
played: it shows the command without an address, because here the server takes whatever port is free.

main -> record -> play, the story -> a Stage with a Window for each person, which films itself
     -> draw: what was filmed becomes rows of text, and CSS that shows each at its time
"""

import contextlib
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # where tests/ is: the script's own folder is all that Python looks in

from tests.terminal import ENTER, RIGHT, ROOT, TAB, WAIT_SECONDS, Terminal, environment  # noqa: E402  # found through the path above

PICTURE = HERE / "demo.svg"

ROWS = 18
COLUMNS = 62

# Seconds.
KEYS = (0.03, 0.05, 0.03, 0.04, 0.06, 0.03, 0.05)  # from one key to the next, over and over
GLANCE = 0.4
READ = 0.8
STUDY = 1.6
END = 2.5  # before it all starts again

SHELL = "$ "
COMMAND = "python3 chat_client.py"

T = TypeVar("T")


# ------------------------------------------------------------------------------------------------------ what is filmed


class Look(NamedTuple):
    """How characters look. A colour is six hexadecimal digits, or `default`."""

    ink: str
    paper: str
    bold: bool


class Run(NamedTuple):
    """Characters side by side that look the same; a wide one is always alone."""

    column: int
    cells: int
    text: str
    look: Look
    wide: bool


Row = tuple[Run, ...]


class Frame(NamedTuple):
    """What a terminal shows; the cursor is a column and a row."""

    rows: tuple[Row, ...]
    cursor: tuple[int, int]


class Shot(NamedTuple):
    """A frame, and the second at which it appears."""

    at: float
    frame: Frame


@dataclass(frozen=True, slots=True)
class Recording:
    """What everybody saw, by name. Seconds: its length, and where it stands still for those who want no motion."""

    films: Mapping[str, Sequence[Shot]]
    length: float
    still: float


def take_frame(screen: Any) -> Frame:
    """Return what a screen of pyte shows now."""
    rows = ([screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines))
    return Frame(tuple(read_row(row) for row in rows), (screen.cursor.x, screen.cursor.y))


def read_row(characters: Sequence[Any]) -> Row:
    """Return the runs of a row that can be seen."""
    columns = range(len(characters))
    groups = itertools.groupby(columns, key=lambda column: kinship(characters, column))
    parts = (trimmed(characters, list(group)) for _, group in groups)
    return tuple(make_run(characters, part) for part in parts if part)


def kinship(characters: Sequence[Any], column: int) -> tuple[Look, int]:
    """Return what is equal for the cells of one run: their look, and of a wide character's two the first column."""
    if not characters[column].data:  # the second cell of a wide one
        column -= 1
    is_wide = column + 1 < len(characters) and not characters[column + 1].data
    return look_of(characters[column]), column if is_wide else -1


def look_of(character: Any) -> Look:
    """Return the look of one of pyte's characters."""
    ink, paper = character.fg, character.bg
    if character.reverse:
        ink, paper = (
            (PAPER if paper == "default" else paper).lstrip("#"),
            (INK if ink == "default" else ink).lstrip("#"),
        )
    return Look(ink, paper, character.bold)


def trimmed(characters: Sequence[Any], columns: list[int]) -> list[int]:
    """Return the columns without the blank ones at their ends; on coloured paper, blanks are seen."""
    seen = [column for column in columns if characters[column].data != " " or characters[column].bg != "default"]
    return columns[columns.index(seen[0]) : columns.index(seen[-1]) + 1] if seen else []


def make_run(characters: Sequence[Any], columns: Sequence[int]) -> Run:
    """Return the run in these columns."""
    first, last = columns[0], columns[-1]
    text = "".join(characters[column].data for column in columns)
    return Run(first, len(columns), text, look_of(characters[first]), wide=not characters[last].data)


# ------------------------------------------------------------------------------------------------------------- playing


class Window(Terminal):
    """The terminal of one person, which films itself.

    A shell is played on it until `start`, and again after `finish`. The client runs all the time, but between the two
    alone it is read and hears the keys.
    """

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        super().__init__("chat_client.py", arguments, environment(folder, COLORTERM="truecolor"), ROWS, COLUMNS)
        self.background = "rgb:{}/{}/{}".format(*(PAPER[start : start + 2] for start in (1, 3, 5)))
        self.shots: list[Shot] = []
        self._in_shell = True
        self._echo(SHELL)

    def type(self, text: str) -> None:
        """Press keys, in the client or in the shell around it."""
        if self._in_shell:
            self._echo(text)
        else:
            super().type(text)

    def start(self) -> None:
        """Press Enter in the shell: the client has the terminal."""
        self._echo("\r\n")
        self._in_shell = False

    def finish(self) -> None:
        """Wait for the end of the client: the shell is back. Raises RuntimeError if the client failed."""
        if self.wait_for_exit() != 0:
            raise RuntimeError(f"the client failed; the screen:\n{self.text}")
        self._in_shell = True
        self._echo(SHELL)

    def film(self, now: float) -> None:
        """Keep what is shown, if it is new, once the client has written all that it has to."""
        while not self._in_shell and self._read():
            pass
        frame = take_frame(self.screen)
        if not self.shots or frame != self.shots[-1].frame:
            self.shots.append(Shot(now, frame))

    def _echo(self, text: str) -> None:
        self._stream.feed(text.encode())


class Stage:
    """All windows, at a human pace. Every method takes as long as what it shows."""

    def __init__(self, windows: Mapping[str, Window]) -> None:
        self.windows = windows
        self.still = 0.0
        self._started = time.monotonic()
        self._delays = itertools.cycle(KEYS)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def pause(self, seconds: float) -> None:
        """Only film, for a while."""
        end = self.now + seconds
        while self.now < end:
            self._film()

    def await_input(self, text: str, *windows: Window) -> None:
        """Film until the row of the cursor starts with `text` in all of these windows. Raises TimeoutError."""
        end = self.now + WAIT_SECONDS
        while not all(window.input_row.startswith(text) for window in windows):
            if self.now > end:
                raise TimeoutError("\n".join([f"{text!r} did not come; the screens:", *(w.text for w in windows)]))
            self._film()

    def await_status(self, text: str, *windows: Window) -> None:
        """Film until the status lines of all of these windows have this text. Raises TimeoutError."""
        end = self.now + WAIT_SECONDS
        while not all(f"· {text}" in window.text for window in windows):
            if self.now > end:
                raise TimeoutError("\n".join([f"{text!r} did not come; the screens:", *(w.text for w in windows)]))
            self._film()

    def type(self, *texts: tuple[Window, str]) -> None:
        """Press keys one by one, all people at the same time."""
        windows = [window for window, _ in texts]
        for keys in itertools.zip_longest(*(text for _, text in texts), fillvalue=""):
            for window, key in zip(windows, keys, strict=True):
                window.type(key)
            self.pause(next(self._delays))

    def press(self, window: Window, key: str) -> None:
        """Press a key that the terminal sends as more than one character."""
        window.type(key)
        self.pause(GLANCE)

    def enter(self, *windows: Window) -> None:
        """Press Enter, after a last look at the line."""
        self.pause(GLANCE / 2)
        for window in windows:
            window.type(ENTER)

    def say(self, window: Window, text: str, then: float) -> None:
        """Type a line, press Enter, and pause."""
        self.type((window, text))
        self.enter(window)
        self.pause(then)

    def stand_still(self) -> None:
        """Choose this moment for those who want no motion."""
        self.still = self.now

    def _film(self) -> None:
        for window in self.windows.values():
            window.film(self.now)


class Server:
    """The chat server on a port of its own; a context manager that leaves no process behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self.port = 0  # a free one, until it is started

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, on the same port as before. Raises RuntimeError."""
        options = ["--port", str(self.port), "--log-file", str(self._folder / "server.log")]
        command = [sys.executable, str(ROOT / "chat_server.py"), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        start, _, address = line.strip().rpartition(" ")
        if start != "listening on":
            raise RuntimeError("the server did not start")
        self.port = int(address.rpartition(":")[2])

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None


def play(stage: Stage, server: Server) -> None:
    """Play the story."""
    alice, bob = stage.windows["alice"], stage.windows["bob"]
    start(stage, alice, bob)
    come_in(stage, alice, "alice", "10")
    come_in(stage, bob, "bob", "5")
    mention(stage, alice, bob)
    go_to_another_room(stage, alice, bob)
    write_at_the_same_time(stage, alice, bob)
    lose_the_server(stage, alice, bob, server)
    leave(stage, alice, bob)


def start(stage: Stage, *windows: Window) -> None:
    """Start the clients."""
    stage.pause(GLANCE)
    stage.type(*((window, COMMAND) for window in windows))
    stage.pause(GLANCE)
    for window in windows:
        window.start()
    stage.await_input("Username:", *windows)
    stage.pause(GLANCE)


def come_in(stage: Stage, window: Window, name: str, color: str) -> None:
    """Answer the client's questions."""
    stage.say(window, name, GLANCE)
    stage.await_input("Colour", window)
    stage.pause(READ)
    stage.say(window, color, GLANCE)
    stage.await_input("lobby>", window)
    stage.pause(READ)


def mention(stage: Stage, alice: Window, bob: Window) -> None:
    """Call somebody by a name that the client completes, and answer at length."""
    stage.type((bob, "al"))
    stage.pause(READ)
    stage.press(bob, RIGHT)
    stage.say(bob, "is the new server ready? 👀", READ)
    stage.say(alice, "yes! 🎉 it takes what we say, keeps it, and loses nothing, even when somebody stumbles", STUDY)


def go_to_another_room(stage: Stage, alice: Window, bob: Window) -> None:
    """Go to a room of their own, with some help from the menu."""
    stage.type((alice, "/"))
    stage.pause(STUDY)
    stage.type((alice, "jo"))
    stage.pause(READ)
    stage.press(alice, TAB)
    stage.type((alice, "ops"), (bob, "/join ops"))
    stage.enter(alice)
    stage.enter(bob)
    stage.await_input("ops>", alice, bob)
    stage.pause(READ)


def write_at_the_same_time(stage: Stage, alice: Window, bob: Window) -> None:
    """Receive a message in the middle of a word: the line that is being typed stays whole."""
    stage.type((alice, "moving the database over rig"), (bob, "the backup is done ✅"))
    stage.enter(bob)
    stage.pause(READ)
    stage.stand_still()
    stage.pause(GLANCE)
    stage.say(alice, "ht now 🚀", READ)
    stage.say(bob, "/me waves", READ)


def lose_the_server(stage: Stage, alice: Window, bob: Window, server: Server) -> None:
    """Kill the server and start it again: what is typed meanwhile waits, and is said once."""
    server.kill()
    stage.await_status("reconnecting", alice, bob)
    stage.type((bob, "did you trip over the cable?"))
    stage.enter(bob)
    stage.type((alice, "maybe"))
    stage.pause(STUDY)
    server.start()
    stage.await_status("connected", alice, bob)
    stage.pause(STUDY)
    stage.say(alice, " 😇 nobody noticed", STUDY)


def leave(stage: Stage, *windows: Window) -> None:
    """Leave the chat."""
    stage.type(*((window, "/exit") for window in windows))
    stage.enter(*windows)
    for window in windows:
        window.finish()
    stage.pause(END)


def record() -> Recording:
    """Play the story on real terminals, and return what could be seen."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(folder))
        windows = {}
        for name in ("alice", "bob"):
            own = ["--config", str(folder / name), "--log-file", str(folder / f"{name}.log")]
            arguments = [f"127.0.0.1:{server.port}", *own]
            windows[name] = stack.enter_context(Window(arguments, folder))
        stage = Stage(windows)
        play(stage, server)
        return Recording({name: window.shots for name, window in windows.items()}, stage.now, stage.still)


# ------------------------------------------------------------------------------------------------------------- drawing

# Pixels.
FONT_SIZE = 14
CELL = 8.4  # 0.6 of the font's size, which is how wide the letters of nearly every monospace font are
LINE = 19
BASELINE = 14  # below the top of a line
BAR = 30
PADDING = 12
GAP = 14  # between the windows
CORNER = 9
WINDOW_WIDTH = round(COLUMNS * CELL) + 2 * PADDING
WINDOW_HEIGHT = BAR + ROWS * LINE + 2 * PADDING

INK = "#d6d9df"
PAPER = "#101216"
BAR_PAPER = "#24272e"
EDGE = "#3a3e47"
TITLE_INK = "#a3a9b4"
DOTS = ("#ed6a5e", "#f5bf4f", "#62c554")

STYLE = f"""
text{{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace}}
text{{font-size:{FONT_SIZE}px;white-space:pre}}
.middle{{text-anchor:middle}}
"""


class Sheet:
    """Every row that is ever seen, drawn once."""

    def __init__(self) -> None:
        self._names: dict[Row, str] = {}

    def use(self, row: Row, y: int) -> str:
        """Return the element that shows `row` at `y`."""
        if not row:
            return ""
        name = self._names.setdefault(row, f"r{len(self._names)}")
        return f'<use href="#{name}" y="{y}"/>'

    def draw(self) -> str:
        """Return the definitions of the rows used so far."""
        rows = (f'<g id="{name}">{"".join(map(draw_run, row))}</g>' for row, name in self._names.items())
        return "<defs>\n" + "\n".join(rows) + "\n</defs>"


class Reel:
    """The movements of all that moves, which is as long as the recording, and starts again at its end."""

    def __init__(self, length: float, still: float) -> None:
        self._length = length
        self._still = still
        self._keyframes: list[str] = []

    def move(self, places: Sequence[tuple[float, tuple[float, float]]]) -> str:
        """Return the attributes of an element that jumps to these places, each at its second."""
        name = f"m{len(self._keyframes)}"
        steps = (f"{at / self._length:.3%}{{transform:translate({x:g}px,{y:g}px)}}" for at, (x, y) in places)
        self._keyframes.append(f"@keyframes {name}{{{''.join(steps)}}}")
        x, y = [place for at, place in places if at <= self._still][-1]
        return f'class="moving" style="animation-name:{name}" transform="translate({x:g} {y:g})"'

    def draw(self) -> str:
        """Return the style sheet of the movements used so far."""
        rules = [
            f".moving{{animation:{self._length:.2f}s step-end infinite}}",
            "@media (prefers-reduced-motion:reduce){.moving{animation:none!important}}",
        ]
        return "\n".join([*rules, *self._keyframes])


def draw(recording: Recording) -> str:
    """Return the picture."""
    sheet, reel = Sheet(), Reel(recording.length, recording.still)
    windows = [
        draw_window(title, shots, place * (WINDOW_WIDTH + GAP), sheet, reel)
        for place, (title, shots) in enumerate(recording.films.items())
    ]
    width = len(windows) * (WINDOW_WIDTH + GAP) - GAP
    body = "\n".join([sheet.draw(), *windows])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {WINDOW_HEIGHT}" width="{width}" '
        f'height="{WINDOW_HEIGHT}" fill="{INK}" role="img">\n<title>Two people in the chat room</title>\n'
        f"<style>{STYLE}{reel.draw()}\n</style>\n{body}\n</svg>\n"
    )


def draw_window(title: str, shots: Sequence[Shot], left: int, sheet: Sheet, reel: Reel) -> str:
    """Return a window with all that happens in it."""
    tracks = (draw_track(y, shots, sheet, reel) for y in range(ROWS))
    screen = [*filter(None, tracks), draw_cursor(shots, reel)]
    inside = f'<g transform="translate({PADDING} {BAR + PADDING})">'
    return "\n".join([f'<g transform="translate({left} 0)">', draw_frame(title), inside, *screen, "</g>", "</g>"])


def draw_frame(title: str) -> str:
    """Return the edge of a window, its title and three dots."""
    width, height = WINDOW_WIDTH - 1, WINDOW_HEIGHT - 1
    box = f'<rect x=".5" y=".5" width="{width}" height="{height}" rx="{CORNER}"'
    corner = f"{CORNER} {CORNER} 0 0 1 {CORNER}"
    bar = f"M.5 {BAR}v{CORNER - BAR}a{corner}-{CORNER}h{width - 2 * CORNER}a{corner} {CORNER}v{BAR - CORNER}z"
    dots = (f'<circle cx="{18 + 20 * n}" cy="{BAR / 2:g}" r="6" fill="{dot}"/>' for n, dot in enumerate(DOTS))
    return "\n".join(
        [
            f'{box} fill="{PAPER}"/>',
            f'<path d="{bar}" fill="{BAR_PAPER}"/>',
            f'{box} fill="none" stroke="{EDGE}"/>',
            "".join(dots),
            f'<text class="middle" x="{WINDOW_WIDTH / 2:g}" y="20" fill="{TITLE_INK}">{escape(title)}</text>',
        ]
    )


def draw_track(y: int, shots: Sequence[Shot], sheet: Sheet, reel: Reel) -> str:
    """Return row `y` of a window: all it ever shows on one strip, which moves behind a slot of one row."""
    changes = changes_of(shots, lambda frame: frame.rows[y])
    strip = list(dict.fromkeys(row for _, row in changes))
    if strip == [()]:
        return ""
    movement = reel.move([(at, (0, -LINE * strip.index(row))) for at, row in changes])
    uses = "".join(sheet.use(row, LINE * place) for place, row in enumerate(strip))
    return f'<svg y="{LINE * y}" width="{WINDOW_WIDTH}" height="{LINE}"><g {movement}>{uses}</g></svg>'


def draw_cursor(shots: Sequence[Shot], reel: Reel) -> str:
    """Return the cursor, with all its ways."""
    ways = changes_of(shots, lambda frame: frame.cursor)
    movement = reel.move([(at, (column * CELL, y * LINE)) for at, (column, y) in ways])
    return f'<g {movement}><rect y="1" width="{CELL}" height="{LINE - 2}" opacity=".6"/></g>'


def changes_of(shots: Iterable[Shot], aspect: Callable[[Frame], T]) -> list[tuple[float, T]]:
    """Return what the aspect is at first, and whenever it changes, with the seconds."""
    changes: list[tuple[float, T]] = []
    for at, frame in shots:
        if not changes or changes[-1][1] != aspect(frame):
            changes.append((at if changes else 0.0, aspect(frame)))
    return changes


def draw_run(run: Run) -> str:
    """Return characters at their column, on their paper."""
    return draw_paper(run) + (draw_wide(run) if run.wide else draw_narrow(run))


def draw_paper(run: Run) -> str:
    """Return what is behind the characters, if it is not the window's."""
    if run.look.paper == "default":
        return ""
    x, width = run.column * CELL, run.cells * CELL
    return f'<rect x="{x:g}" width="{width:g}" height="{LINE}" fill="#{run.look.paper}" shape-rendering="crispEdges"/>'


def draw_narrow(run: Run) -> str:
    """Return characters of one cell each; their length is given, so that they fit whatever the font is."""
    x, width = run.column * CELL, run.cells * CELL
    return (
        f'<text x="{x:g}" y="{BASELINE}" textLength="{width:g}"{paint(run.look)}>{escape(run.text, quote=False)}</text>'
    )


def draw_wide(run: Run) -> str:
    """Return a character in the middle of its two cells: an emoji comes from a font that knows nothing of them."""
    x = (run.column + 1) * CELL
    return f'<text class="middle" x="{x:g}" y="{BASELINE}"{paint(run.look)}>{escape(run.text, quote=False)}</text>'


def paint(look: Look) -> str:
    """Return the attributes for the ink."""
    ink = "" if look.ink == "default" else f' fill="#{look.ink}"'
    return ink + (' font-weight="bold"' if look.bold else "")


def main() -> None:
    """Record the story and write the picture."""
    PICTURE.write_text(draw(record()), encoding="utf-8")
    print(PICTURE)


if __name__ == "__main__":
    main()
