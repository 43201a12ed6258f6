"""Drawing of a recording as an animated SVG: rows of text, and CSS that shows each at its time."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TypeVar

from recorder import BACKGROUND, COLUMNS, FOREGROUND, ROWS, Frame, Recording, Row, Run, TextStyle, TimedFrame

T = TypeVar("T")

# Pixels.
FONT_SIZE = 14
CELL = 8.4  # 0.6 of the font's size, which is how wide the letters of nearly every monospace font are
LINE = 19
BASELINE = 14  # below the top of a line
BAR = 30
PADDING = 12
GAP = 14  # between the terminals
CORNER = 9
WINDOW_WIDTH = round(COLUMNS * CELL) + 2 * PADDING
WINDOW_HEIGHT = BAR + ROWS * LINE + 2 * PADDING

BAR_BACKGROUND = "#24272e"
BORDER = "#3a3e47"
TITLE_FOREGROUND = "#a3a9b4"
DOTS = ("#ed6a5e", "#f5bf4f", "#62c554")

STYLE = f"""
text{{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace}}
text{{font-size:{FONT_SIZE}px;white-space:pre}}
.middle{{text-anchor:middle}}
"""


class RowDefinitions:
    """The distinct rows of a recording, each drawn once."""

    def __init__(self) -> None:
        self._names: dict[Row, str] = {}

    def use(self, row: Row, y: int) -> str:
        """Define `row` and return the element that shows it at `y`."""
        if not row:
            return ""
        name = self._names.setdefault(row, f"r{len(self._names)}")
        return f'<use href="#{name}" y="{y}"/>'

    def draw(self) -> str:
        """Return the definitions of the rows used so far."""
        rows = (f'<g id="{name}">{"".join(map(draw_run, row))}</g>' for row, name in self._names.items())
        return "<defs>\n" + "\n".join(rows) + "\n</defs>"


class Animation:
    """The CSS animations of a recording, which start again at its end."""

    def __init__(self, length: float, poster_time: float) -> None:
        self._length = length
        self._poster_time = poster_time
        self._keyframes: list[str] = []

    def move(self, positions: Sequence[tuple[float, tuple[float, float]]]) -> str:
        """Return the attributes of an element that jumps to these positions, each at its second."""
        name = f"m{len(self._keyframes)}"
        steps = (f"{at / self._length:.3%}{{transform:translate({x:g}px,{y:g}px)}}" for at, (x, y) in positions)
        self._keyframes.append(f"@keyframes {name}{{{''.join(steps)}}}")
        x, y = [position for at, position in positions if at <= self._poster_time][-1]
        return f'class="moving" style="animation-name:{name}" transform="translate({x:g} {y:g})"'

    def draw(self) -> str:
        """Return the CSS rules of the movements used so far."""
        rules = [
            f".moving{{animation:{self._length:.2f}s step-end infinite}}",
            "@media (prefers-reduced-motion:reduce){.moving{animation:none!important}}",
        ]
        return "\n".join([*rules, *self._keyframes])


def draw(recording: Recording, title: str = "Two people in the chat room") -> str:
    """Return the picture."""
    definitions, animation = RowDefinitions(), Animation(recording.length, recording.poster_time)
    terminals = [
        draw_terminal(name, frames, place * (WINDOW_WIDTH + GAP), definitions, animation)
        for place, (name, frames) in enumerate(recording.screens.items())
    ]
    width = len(terminals) * (WINDOW_WIDTH + GAP) - GAP
    body = "\n".join([definitions.draw(), *terminals])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {WINDOW_HEIGHT}" width="{width}" '
        f'height="{WINDOW_HEIGHT}" fill="{FOREGROUND}" role="img">\n<title>{title}</title>\n'
        f"<style>{STYLE}{animation.draw()}\n</style>\n{body}\n</svg>\n"
    )


def draw_terminal(
    name: str, frames: Sequence[TimedFrame], left: int, definitions: RowDefinitions, animation: Animation
) -> str:
    """Return a terminal with all its frames."""
    rows = (draw_row(y, frames, definitions, animation) for y in range(ROWS))
    screen = [*filter(None, rows), draw_cursor(frames, animation)]
    content = f'<g transform="translate({PADDING} {BAR + PADDING})">'
    border = [draw_border(), draw_title(name, frames, animation)]
    return "\n".join([f'<g transform="translate({left} 0)">', *border, content, *screen, "</g>", "</g>"])


def draw_border() -> str:
    """Return the border of a terminal and three dots."""
    width, height = WINDOW_WIDTH - 1, WINDOW_HEIGHT - 1
    box = f'<rect x=".5" y=".5" width="{width}" height="{height}" rx="{CORNER}"'
    corner = f"{CORNER} {CORNER} 0 0 1 {CORNER}"
    bar = f"M.5 {BAR}v{CORNER - BAR}a{corner}-{CORNER}h{width - 2 * CORNER}a{corner} {CORNER}v{BAR - CORNER}z"
    dots = (f'<circle cx="{18 + 20 * n}" cy="{BAR / 2:g}" r="6" fill="{dot}"/>' for n, dot in enumerate(DOTS))
    return "\n".join(
        [
            f'{box} fill="{BACKGROUND}"/>',
            f'<path d="{bar}" fill="{BAR_BACKGROUND}"/>',
            f'{box} fill="none" stroke="{BORDER}"/>',
            "".join(dots),
        ]
    )


def draw_title(name: str, frames: Sequence[TimedFrame], animation: Animation) -> str:
    """Return the titles of a terminal, with the user's name, on one strip that moves behind the title bar."""
    changes = find_changes(frames, lambda frame: f"{name} · {frame.title}" if frame.title else name)
    strip = list(dict.fromkeys(title for _, title in changes))
    movement = animation.move([(at, (0, -BAR * strip.index(title))) for at, title in changes])
    texts = (
        f'<text class="middle" x="{WINDOW_WIDTH / 2:g}" y="{20 + BAR * place}">{escape(title, quote=False)}</text>'
        for place, title in enumerate(strip)
    )
    return (
        f'<svg width="{WINDOW_WIDTH}" height="{BAR}" fill="{TITLE_FOREGROUND}"><g {movement}>{"".join(texts)}</g></svg>'
    )


def draw_row(y: int, frames: Sequence[TimedFrame], definitions: RowDefinitions, animation: Animation) -> str:
    """Return row `y` of a terminal: all its contents on one strip, which moves behind a slot of one row."""
    changes = find_changes(frames, lambda frame: frame.rows[y])
    strip = list(dict.fromkeys(row for _, row in changes))
    if strip == [()]:
        return ""
    movement = animation.move([(at, (0, -LINE * strip.index(row))) for at, row in changes])
    uses = "".join(definitions.use(row, LINE * place) for place, row in enumerate(strip))
    return f'<svg y="{LINE * y}" width="{WINDOW_WIDTH}" height="{LINE}"><g {movement}>{uses}</g></svg>'


def draw_cursor(frames: Sequence[TimedFrame], animation: Animation) -> str:
    """Return the cursor with its positions: a bar, so that a suggestion behind it is readable."""
    positions = find_changes(frames, lambda frame: frame.cursor)
    movement = animation.move([(at, (column * CELL, y * LINE)) for at, (column, y) in positions])
    return f'<g {movement}><rect x="-1" y="1" width="2" height="{LINE - 2}"/></g>'


def find_changes(frames: Iterable[TimedFrame], aspect: Callable[[Frame], T]) -> list[tuple[float, T]]:
    """Return the first value of `aspect` and each new one, with the seconds at which it appears."""
    changes: list[tuple[float, T]] = []
    for at, frame in frames:
        if not changes or changes[-1][1] != aspect(frame):
            changes.append((at if changes else 0.0, aspect(frame)))
    return changes


def draw_run(run: Run) -> str:
    """Return characters at their columns, on their background."""
    return draw_background(run) + (draw_wide(run) if run.wide else draw_narrow(run))


def draw_background(run: Run) -> str:
    """Return the background of the characters if it is not the terminal's."""
    if run.style.background == "default":
        return ""
    x, width = run.column * CELL, run.cells * CELL
    fill = run.style.background
    return f'<rect x="{x:g}" width="{width:g}" height="{LINE}" fill="#{fill}" shape-rendering="crispEdges"/>'


def draw_narrow(run: Run) -> str:
    """Return characters of one cell each, with their length, so that they fit in any font."""
    x, width = run.column * CELL, run.cells * CELL
    return f'<text x="{x:g}" y="{BASELINE}" textLength="{width:g}"{format_style(run.style)}>{escape_text(run)}</text>'


def draw_wide(run: Run) -> str:
    """Return a character centred in its two cells, because the width of an emoji font differs."""
    x = (run.column + 1) * CELL
    return f'<text class="middle" x="{x:g}" y="{BASELINE}"{format_style(run.style)}>{escape_text(run)}</text>'


def escape_text(run: Run) -> str:
    """Return the text of a run with XML's escapes."""
    return escape(run.text, quote=False)


def format_style(style: TextStyle) -> str:
    """Return the attributes of a text in this style."""
    foreground = "" if style.foreground == "default" else f' fill="#{style.foreground}"'
    return foreground + (' font-weight="bold"' if style.bold else "")
