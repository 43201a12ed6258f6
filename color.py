"""The twelve colours of the chat, and every escape code there is: the table, who wants colour, and how text gets it.

Codes are those of the 256-colour palette from 16 on: the first 16 look different on every terminal, the others are
fixed. Each colour was chosen to be read on a black and on a white background alike, and to be told from the others;
black and white cannot be, so they bring a background of their own.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

CHART_COLUMNS = 4  # colours in a row of the chart: 3 rows, within 80 terminal columns

_FIRST_CUBE_CODE = 16
_FIRST_GREY_CODE = 232


def rgb(code: int) -> tuple[int, int, int]:
    """Return red, green and blue, 0 to 255 each, of palette code 16 to 255. Raises ValueError for any other.

    The formula is that of `256colres.pl` in the xterm sources: a cube of 6 x 6 x 6 colours, then 24 greys.
    """
    if not _FIRST_CUBE_CODE <= code <= 255:
        raise ValueError(f"palette code {code} has no fixed colour; choose one from {_FIRST_CUBE_CODE} to 255")
    if code >= _FIRST_GREY_CODE:
        grey = 8 + 10 * (code - _FIRST_GREY_CODE)
        return grey, grey, grey
    red, rest = divmod(code - _FIRST_CUBE_CODE, 36)
    green, blue = divmod(rest, 6)
    return _cube_level(red), _cube_level(green), _cube_level(blue)


def _cube_level(step: int) -> int:
    return 55 + 40 * step if step else 0


@dataclass(frozen=True, slots=True)
class Color:
    """One colour: the palette code of its letters and, where they could not be read otherwise, of what is behind."""

    code: int
    background: int | None = None

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The red, green and blue of the letters, 0 to 255 each."""
        return rgb(self.code)

    @property
    def parameters(self) -> str:
        """What stands between ``ESC [`` and ``m``."""
        behind = "" if self.background is None else f";48;5;{self.background}"
        return f"38;5;{self.code}{behind}"


# The names and their order are those of the protocol.
COLORS: Mapping[str, Color] = {
    "black": Color(16, background=250),
    "white": Color(231, background=240),
    "pink": Color(205),
    "red": Color(160),
    "orange": Color(202),
    "yellow": Color(136),
    "green": Color(34),
    "cyan": Color(37),
    "teal": Color(29),
    "light-blue": Color(69),
    "blue": Color(26),
    "purple": Color(129),
}

# What the client shows besides names and messages. A grey stands for dim: some terminals ignore the faint attribute.
_DIM = Color(244).parameters
STYLES: Mapping[str, str] = {
    "presence": _DIM,
    "time": _DIM,
    "notice": COLORS["cyan"].parameters,
    "error": f"1;{COLORS['red'].parameters}",
}


def paint(name: str, text: str) -> str:
    """Return `text` in the colour `name`, reset at its end. Raises ValueError naming the colours there are."""
    if name not in COLORS:
        raise ValueError(f"there is no colour {name!r}; choose one of {', '.join(COLORS)}")
    return _wrap(COLORS[name].parameters, text)


def style(kind: str, text: str) -> str:
    """Return `text` in the style of `kind`, reset at its end. Raises ValueError naming the styles there are."""
    if kind not in STYLES:
        raise ValueError(f"there is no style {kind!r}; choose one of {', '.join(STYLES)}")
    return _wrap(STYLES[kind], text)


def _wrap(parameters: str, text: str) -> str:
    return f"\x1b[{parameters}m{text}\x1b[0m"


def label(name: str) -> str:
    """Return the colour's name as people write it: `light blue` for `light-blue`."""
    return name.replace("-", " ")


def chart(*, colored: bool = True) -> str:
    """Return the twelve names, numbered from 1, each in its own colour; without `colored`, no escape code."""
    width = max(map(len, COLORS))
    cells = []
    for number, name in enumerate(COLORS, start=1):
        shown = label(name)
        painted = paint(name, shown) if colored else shown
        cells.append(f"{number:2} {painted}{' ' * (width - len(shown))}")
    rows = (cells[start : start + CHART_COLUMNS] for start in range(0, len(cells), CHART_COLUMNS))
    return "\n".join("  ".join(row).rstrip() for row in rows)


def wants_color(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether escape codes may be written to `stream`: the one place that decides.

    NO_COLOR forbids them (https://no-color.org), else FORCE_COLOR asks for them (https://force-color.org), else the
    stream must be a terminal that is not dumb. An empty variable counts as none, a closed stream as no terminal.
    """
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb" and _is_terminal(stream)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # a closed stream
        return False


if __name__ == "__main__":
    sys.stdout.write(chart(colored=wants_color(sys.stdout)) + "\n")
