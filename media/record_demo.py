"""Records media/demo.svg: alice and bob in the chat, on two terminals side by side.

Run it as `python3 media/record_demo.py`; it needs what `pip install -e '.[dev]'` brings, and takes as long as the
picture does. The server and both clients are the real ones, and so are the times. Only the shell around a client is
played: it shows the command without an address, because here the server takes whatever port is free.

main -> record -> play, the story -> a Stage with the Server and a Window for each person, which films itself
     -> draw: what was filmed becomes rows of text, and CSS that shows each at its time
"""

import contextlib
import itertools
import signal
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

from testing.terminal import (  # noqa: E402  # found through the path above
    ENTER,
    FOCUS_IN,
    FOCUS_OUT,
    RIGHT,
    TAB,
    WAIT_SECONDS,
    Terminal,
    environment,
)
from testing.waiting import ROOT  # noqa: E402

PICTURE = HERE / "demo.svg"

ROWS = 18
COLUMNS = 62

# Seconds.
KEYS = (0.04, 0.07, 0.03, 0.05, 0.08, 0.04, 0.06)  # from one key to the next, over and over
GLANCE = 0.4
READ = 0.8
STUDY = 1.6
END = 2.5  # before it all starts again

SHELL = "$ "
COMMAND = "python3 chat_client.py"

INK = "#d6d9df"
PAPER = "#101216"

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
    """What a terminal shows; the cursor is a column and a row, the title that which the program gave to the window."""

    rows: tuple[Row, ...]
    cursor: tuple[int, int]
    title: str


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
    return Frame(tuple(read_row(row) for row in rows), (screen.cursor.x, screen.cursor.y), screen.title)


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
    """Return the look of one of pyte's characters; one in reverse video has the colours of the window, if no others."""
    ink, paper = character.fg, character.bg
    if character.reverse:
        ink, paper = shown(paper, PAPER), shown(ink, INK)
    return Look(ink, paper, character.bold)


def shown(color: str, default: str) -> str:
    """Return `color`, or in its place that of the window, in six hexadecimal digits."""
    return default.removeprefix("#") if color == "default" else color


def trimmed(characters: Sequence[Any], columns: list[int]) -> list[int]:
    """Return the columns without the blank ones at their ends; on coloured paper, blanks are seen."""
    seen = [
        column for column in columns if characters[column].data != " " or look_of(characters[column]).paper != "default"
    ]
    return columns[columns.index(seen[0]) : columns.index(seen[-1]) + 1] if seen else []


def make_run(characters: Sequence[Any], columns: Sequence[int]) -> Run:
    """Return the run in these columns."""
    first, last = columns[0], columns[-1]
    text = "".join(characters[column].data for column in columns)
    return Run(first, len(columns), text, look_of(characters[first]), wide=not characters[last].data)


# ------------------------------------------------------------------------------------------------------------- playing


class Window(Terminal):
    """The terminal of one person, which films itself.

    A shell is played on it until `start`; the client is there, but stopped.
    """

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        super().__init__("chat_client.py", arguments, environment(folder, COLORTERM="truecolor"), ROWS, COLUMNS)
        self.kill(signal.SIGSTOP)
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
        self.kill(signal.SIGCONT)

    def film(self, now: float) -> None:
        """Keep what is shown, if it is new, once the client has written all that it has to."""
        while not self._in_shell and self._read():
            pass
        frame = take_frame(self.screen)
        if not self.shots or frame != self.shots[-1].frame:
            self.shots.append(Shot(now, frame))

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
        """Kill it, without a word to anybody."""
        with self._process as process:
            process.kill()

    def start_again(self) -> None:
        """Start it on its port, and do not wait until it listens."""
        self._process = self._start(port=self.address.rpartition(":")[2])

    def _start(self, port: str) -> subprocess.Popen[str]:
        options = ["--port", port, "--log-file", str(self._folder / "server.log"), *self._options]
        command = [sys.executable, str(ROOT / "chat_server.py"), *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class Stage:
    """The server and all windows, at a human pace. Every method takes as long as what it shows."""

    def __init__(self, server: Server, windows: Mapping[str, Window]) -> None:
        self.server = server
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

    def await_text(self, text: str, *windows: Window) -> None:
        """Film until `text` can be seen in all of these windows. Raises TimeoutError."""
        end = self.now + WAIT_SECONDS
        while not all(text in window.text for window in windows):
            if self.now > end:
                raise TimeoutError("\n".join([f"{text!r} did not come; the screens:", *(w.text for w in windows)]))
            self._film()

    def type(self, *texts: tuple[Window, Sequence[str]]) -> None:
        """Press keys one by one, all people at the same time."""
        windows = [window for window, _ in texts]
        for keys in itertools.zip_longest(*(text for _, text in texts), fillvalue=""):
            for window, key in zip(windows, keys, strict=True):
                window.type(key)
            self.pause(next(self._delays))

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


def play(stage: Stage) -> None:
    """Play the story."""
    alice, bob = stage.windows["alice"], stage.windows["bob"]
    start(stage, alice, bob)
    come_in(stage, alice, bob)
    greet(stage, alice, bob)
    go_to_another_room(stage, alice, bob)
    write_at_the_same_time(stage, alice, bob)
    lose_the_server(stage, alice, bob)
    stage.pause(END)


def start(stage: Stage, *windows: Window) -> None:
    """Start the clients."""
    stage.pause(GLANCE)
    stage.type(*((window, COMMAND) for window in windows))
    stage.pause(GLANCE)
    for window in windows:
        window.start()
    stage.await_text("Username:", *windows)
    stage.pause(GLANCE)


def come_in(stage: Stage, alice: Window, bob: Window) -> None:
    """Answer the clients' questions."""
    stage.type((alice, "alice"), (bob, "bob"))
    stage.enter(alice, bob)
    stage.await_text("Colour", alice, bob)
    stage.pause(READ)
    stage.type((alice, "10"), (bob, "orange"))
    stage.enter(bob)
    stage.await_text("lobby>", bob)
    stage.enter(alice)
    stage.await_text("lobby>", alice)
    stage.pause(READ)


def greet(stage: Stage, alice: Window, bob: Window) -> None:
    """Say hello in the lobby, with a name that the client completes."""
    stage.type((alice, "bo"))
    stage.pause(READ)
    stage.type((alice, [RIGHT, *"good to see you 🎉"]))
    stage.enter(alice)
    stage.await_text("🎉", bob)
    stage.pause(READ)


def go_to_another_room(stage: Stage, alice: Window, bob: Window) -> None:
    """Go to a room of their own, out of the menu and out of the list."""
    stage.type((bob, "/"))
    stage.pause(READ)
    stage.type((bob, "jo"))
    stage.pause(GLANCE)
    stage.type((bob, [TAB, *"ops"]))
    stage.enter(bob)
    stage.await_text("ops>", bob)
    stage.say(alice, "/list", READ)
    stage.type((alice, "/join "))
    stage.await_text("1 person", alice)
    stage.pause(READ)
    stage.type((alice, [TAB, TAB]))
    stage.pause(GLANCE)
    stage.enter(alice)
    stage.await_text("ops>", alice)
    stage.pause(GLANCE)


def write_at_the_same_time(stage: Stage, alice: Window, bob: Window) -> None:
    """Receive a long message in the middle of a word: the line that is being typed stays whole."""
    stage.type((bob, [*"al", RIGHT, *"the backup is "]))
    stage.type((alice, "moving the database over rig"), (bob, "done ✅ all 40 GB, so take your time"))
    stage.enter(bob)
    stage.await_text("40 GB", alice)
    stage.pause(READ)
    stage.stand_still()
    stage.pause(GLANCE)
    stage.say(alice, "ht now 🚀", READ)


def lose_the_server(stage: Stage, alice: Window, bob: Window) -> None:
    """Let one write while there is no server, and the other look away until what was written is there."""
    bob.type(FOCUS_OUT)
    stage.type((alice, "moved, all gre"))
    stage.server.kill()
    stage.say(alice, "en 🎉", GLANCE)
    stage.server.start_again()
    stage.await_text("· connected", alice, bob)
    stage.await_text("new since", bob)
    stage.pause(STUDY)
    bob.type(FOCUS_IN)
    stage.say(bob, "nice work 👏", 0.0)


def record() -> Recording:
    """Play the story on real terminals, and return what could be seen."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(folder))
        windows = {}
        for name in ("alice", "bob"):
            files = ["--config", str(folder / name), "--log-file", str(folder / f"{name}.log")]
            windows[name] = stack.enter_context(Window([server.address, *files], folder))
        stage = Stage(server, windows)
        play(stage)
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


def draw(recording: Recording, title: str = "Two people in the chat room") -> str:
    """Return the picture."""
    sheet, reel = Sheet(), Reel(recording.length, recording.still)
    windows = [
        draw_window(name, shots, place * (WINDOW_WIDTH + GAP), sheet, reel)
        for place, (name, shots) in enumerate(recording.films.items())
    ]
    width = len(windows) * (WINDOW_WIDTH + GAP) - GAP
    body = "\n".join([sheet.draw(), *windows])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {WINDOW_HEIGHT}" width="{width}" '
        f'height="{WINDOW_HEIGHT}" fill="{INK}" role="img">\n<title>{title}</title>\n'
        f"<style>{STYLE}{reel.draw()}\n</style>\n{body}\n</svg>\n"
    )


def draw_window(name: str, shots: Sequence[Shot], left: int, sheet: Sheet, reel: Reel) -> str:
    """Return a window with all that happens in it."""
    tracks = (draw_track(y, shots, sheet, reel) for y in range(ROWS))
    screen = [*filter(None, tracks), draw_cursor(shots, reel)]
    inside = f'<g transform="translate({PADDING} {BAR + PADDING})">'
    edge = [draw_frame(), draw_title(name, shots, reel)]
    return "\n".join([f'<g transform="translate({left} 0)">', *edge, inside, *screen, "</g>", "</g>"])


def draw_frame() -> str:
    """Return the edge of a window and three dots."""
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
        ]
    )


def draw_title(name: str, shots: Sequence[Shot], reel: Reel) -> str:
    """Return the titles of a window, whose person is always in it: on one strip, which moves behind the bar."""
    changes = changes_of(shots, lambda frame: f"{name} · {frame.title}" if frame.title else name)
    strip = list(dict.fromkeys(title for _, title in changes))
    movement = reel.move([(at, (0, -BAR * strip.index(title))) for at, title in changes])
    texts = (
        f'<text class="middle" x="{WINDOW_WIDTH / 2:g}" y="{20 + BAR * place}">{escape(title, quote=False)}</text>'
        for place, title in enumerate(strip)
    )
    return f'<svg width="{WINDOW_WIDTH}" height="{BAR}" fill="{TITLE_INK}"><g {movement}>{"".join(texts)}</g></svg>'


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
    """Return the cursor, with all its ways: a bar, because a hint may stand where it is."""
    ways = changes_of(shots, lambda frame: frame.cursor)
    movement = reel.move([(at, (column * CELL, y * LINE)) for at, (column, y) in ways])
    return f'<g {movement}><rect x="-1" y="1" width="2" height="{LINE - 2}"/></g>'


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
