"""The twelve colours of the chat in shades that can be read on this terminal, and every escape code there is.

A terminal is asked for its background and answers with it: `ASK_BACKGROUND`, `split_answers`, `background_of`. A
`Palette` then has a shade for each of the twelve, and for what else the client shows, with a contrast of at least
`CONTRAST` against it. Where the background is not known, colours are those of the 256-colour palette from 16 on, which
look alike everywhere, chosen to be read on black and on white; black and white bring a background of their own there.
"""

import math
import operator
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import NamedTuple, Self, TextIO

CONTRAST = 4.5  # least ratio of a shade and its background: WCAG 2.1, criterion 1.4.3, text of normal size
SEPARATION = 0.06  # least distance of two shades in Oklab; CSS Color 4 takes 0.02 for what one can just see
CHART_COLUMNS = 4  # colours in a row of the chart: 3 rows, within 80 terminal columns

_STEPS = 64  # shades from a colour to black, and as many to white: the next one can hardly be told from it
# What lightness counts beside hue in the nearest shade: the contrast changes it anyway, and a red must stay a red. With
# 16 colours, few of which have the contrast, it must count less yet, or a grey becomes a red.
_LIGHTNESS = 1 / 2
_LIGHTNESS_16 = 1 / 3
_FIRST_CUBE_CODE = 16
_FIRST_GREY_CODE = 232

RGB = tuple[int, int, int]  # red, green and blue, 0 to 255 each

# ------------------------------------------------------------------------------------------------------------ the table


def rgb(code: int) -> RGB:
    """Return the colour of palette code 16 to 255. Raises ValueError for any other.

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
    """One colour: what it should look like, and its palette codes where the terminal's background is not known."""

    ideal: RGB
    code: int  # of its letters
    background: int | None = None  # of what is behind them, where they could not be read otherwise

    @property
    def rgb(self) -> RGB:
        """The colour of the letters where the background is not known."""
        return rgb(self.code)


# The names and their order are those of the protocol. The ideals were sought so that their shades stay apart on usual
# backgrounds, dark and light.
COLORS: Mapping[str, Color] = {
    "black": Color((0, 0, 0), 16, background=250),
    "white": Color((255, 255, 255), 231, background=240),
    "pink": Color((255, 85, 190), 205),
    "red": Color((220, 20, 20), 160),
    "orange": Color((255, 135, 0), 202),
    "yellow": Color((235, 205, 0), 136),
    "green": Color((0, 205, 0), 34),
    "cyan": Color((0, 230, 245), 37),
    "teal": Color((0, 160, 105), 29),
    "light-blue": Color((110, 185, 255), 69),
    "blue": Color((45, 80, 255), 26),
    "purple": Color((170, 65, 245), 129),
}
# A grey stands for dim: some terminals ignore the faint attribute. It is first: black must be told from it on black.
_DIM = "dim"
_ALL: Mapping[str, Color] = {_DIM: Color((118, 118, 118), 244), **COLORS}


class Style(NamedTuple):
    """How something besides names and messages is shown."""

    color: str = ""  # one of the twelve, or dim; empty for that of the terminal
    attributes: str = ""  # of SGR: 1 is bold, 7 reverse video


STYLES: Mapping[str, Style] = {
    "presence": Style(_DIM),
    "time": Style(_DIM),
    "notice": Style("cyan"),
    "error": Style("red", "1"),
    "mention": Style("pink", "1"),  # what is said in a line that speaks to the person
    "mark": Style("orange"),  # what is new since the person was away, and that the day changes
    "status": Style(_DIM),
    "choice": Style(attributes="7"),  # what is chosen of the completions
    "hint": Style(_DIM),  # what could be typed next
}


def label(name: str) -> str:
    """Return the colour's name as people write it: `light blue` for `light-blue`."""
    return name.replace("-", " ")


def chart() -> list[list[tuple[str, str]]]:
    """Return the rows of a chart of the twelve names, numbered from 1: pieces of text, each with its style."""
    width = max(map(len, COLORS))
    rows: list[list[tuple[str, str]]] = []
    for index, name in enumerate(COLORS):
        if index % CHART_COLUMNS == 0:
            rows.append([])
        else:
            rows[-1].append(("  " + " " * (width - len(rows[-1][-1][0])), ""))
        rows[-1] += [(f"{index + 1:2} ", ""), (label(name), name)]
    return rows


# ----------------------------------------------------------------------------------------------------- who wants colour


class Depth(Enum):
    """How many colours a terminal has."""

    TRUE_COLOR = "all that red, green and blue can mix"
    CODES_256 = "a palette of 256, of which 16 to 255 are the same everywhere"
    CODES_16 = (
        "the 16 standard colours; those of xterm are assumed, while yours may differ, and their contrast with them"
    )


def depth(environ: Mapping[str, str] = os.environ) -> Depth:
    """Return what the terminal says of itself.

    COLORTERM is what VTE, Konsole, iTerm2 and others set (https://github.com/termstandard/colors); terminfo's entries
    for true colour end in `-direct`, and those for the palette hold `256color`. Node.js and notcurses go by these too.
    """
    term = environ.get("TERM", "")
    if environ.get("COLORTERM") in {"truecolor", "24bit"} or term.endswith("-direct"):
        return Depth.TRUE_COLOR
    return Depth.CODES_256 if "256color" in term else Depth.CODES_16


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


# --------------------------------------------------------------------------------------------------------------- shades


class Shade(NamedTuple):
    """A colour as a terminal is told to show it."""

    rgb: RGB
    parameters: str  # what stands between `ESC [` and `m`


# The first eight, and the bright ones, as xterm has them (XTerm-col.ad of its sources).
_STANDARD = ((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229,) * 3)
_BRIGHT = ((127,) * 3, (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255), (255,) * 3)
_CODES_16 = [
    *(Shade(shown, f"{30 + number}") for number, shown in enumerate(_STANDARD)),
    *(Shade(shown, f"{90 + number}") for number, shown in enumerate(_BRIGHT)),
]
_CODES_256 = [Shade(rgb(code), f"38;5;{code}") for code in range(_FIRST_CUBE_CODE, 256)]


def shades(background: RGB, depth: Depth) -> dict[str, Shade]:
    """Return the shade of each colour on `background`: the nearest to its ideal that can be read.

    Black or white always can: against any background, one of them has a contrast of 4.58 or more. A shade also keeps
    SEPARATION from those before it, as far as there is room: on a middle grey only near-blacks have the contrast.
    """
    ideals = {name: shown.ideal for name, shown in _ALL.items()}
    found = _choose(background, ideals, _to_black_and_white, SEPARATION)
    if depth is Depth.TRUE_COLOR:
        return found
    ideals = {name: shade.rgb for name, shade in found.items()}
    if depth is Depth.CODES_256:
        return _choose(background, ideals, lambda _: _CODES_256, SEPARATION)
    return _choose(background, ideals, lambda _: _CODES_16, 0, _LIGHTNESS_16)  # too few to be told apart


def _choose(
    background: RGB,
    ideals: Mapping[str, RGB],
    candidates: Callable[[RGB], Iterable[Shade]],
    separation: float,
    lightness: float = _LIGHTNESS,
) -> dict[str, Shade]:
    chosen: dict[str, Shade] = {}
    for name, ideal in ideals.items():
        readable = (shade for shade in candidates(ideal) if contrast(shade.rgb, background) >= CONTRAST)
        taken = [shade.rgb for shade in chosen.values()]
        chosen[name] = _nearest(ideal, readable, taken, separation, lightness)
    return chosen


def _nearest(ideal: RGB, shades: Iterable[Shade], taken: list[RGB], separation: float, lightness: float) -> Shade:
    """Return the nearest of `shades` that is `separation` from all that is taken, or else as far as there is."""

    def fitness(shade: Shade) -> tuple[float, float]:
        gap = min((_distance(shade.rgb, other) for other in taken), default=separation)
        return min(gap, separation), -_distance(shade.rgb, ideal, lightness)

    return max(shades, key=fitness)


def _to_black_and_white(ideal: RGB) -> list[Shade]:
    """Return the shades of one hue: the ideal, mixed with ever more black, and with ever more white."""
    mixed = [_mix(ideal, end, step) for end in (0, 255) for step in range(_STEPS + 1)]
    return [Shade(shown, "38;2;{};{};{}".format(*shown)) for shown in mixed]


def _mix(color: RGB, end: int, step: int) -> RGB:
    red, green, blue = (round(part + (end - part) * step / _STEPS) for part in color)
    return red, green, blue


def contrast(one: RGB, other: RGB) -> float:
    """Return the contrast ratio of two colours, 1 to 21, as WCAG 2.1 defines it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@cache
def _luminance(color: RGB) -> float:
    red, green, blue = map(_linear, color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: int) -> float:
    """Return how much light `part` of an sRGB colour stands for, 0 to 1; the formula is that of IEC 61966-2-1."""
    level = part / 255
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4


def _distance(one: RGB, other: RGB, lightness: float = 1.0) -> float:
    """Return how different two colours look: their distance in Oklab, where black and white are 1 apart."""
    light, red, yellow = map(operator.sub, _oklab(one), _oklab(other))
    return math.hypot(lightness * light, red, yellow)


@cache
def _oklab(color: RGB) -> tuple[float, float, float]:
    """Return lightness, green to red, and blue to yellow (Björn Ottosson, https://bottosson.github.io/posts/oklab)."""
    red, green, blue = map(_linear, color)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    middle = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _unknown(depth: Depth) -> dict[str, str]:
    """Return the parameters of each colour where the background is not known."""

    def sgr(code: int, behind: int = 0) -> str:
        if depth is not Depth.CODES_16:
            return f"{38 + behind};5;{code}"
        nearest = min(_CODES_16, key=lambda shade: _distance(shade.rgb, rgb(code)))
        return str(int(nearest.parameters) + behind)

    return {
        name: sgr(shown.code) + ("" if shown.background is None else f";{sgr(shown.background, behind=10)}")
        for name, shown in _ALL.items()
    }


# -------------------------------------------------------------------------------------------------------------- palette


@dataclass(frozen=True)
class Palette:
    """Paints text for a terminal with this background, None if it is not known. A depth of None paints nothing.

    Any thread may use it. The shades are computed once, at the first use.
    """

    background: RGB | None
    depth: Depth | None

    @classmethod
    def for_stream(cls, stream: TextIO) -> Self:
        """Return the palette for what is written to `stream`, as the environment wants it."""
        return cls(None, depth() if wants_color(stream) else None)

    def parameters(self, style: str) -> str:
        """Return what stands between `ESC [` and `m` for one of COLORS or STYLES, and nothing for an empty style.

        Raises ValueError naming the styles there are.
        """
        if style and style not in self._parameters:
            raise ValueError(f"there is no style {style!r}; choose one of {', '.join(self._parameters)}")
        return self._parameters[style] if style else ""

    def paint(self, style: str, text: str) -> str:
        """Return `text` in `style`, one of COLORS or STYLES, reset at its end; an empty style leaves it as it is.

        Raises ValueError naming the styles there are.
        """
        parameters = self.parameters(style)
        return f"\x1b[{parameters}m{text}\x1b[0m" if parameters else text

    @cached_property
    def _parameters(self) -> Mapping[str, str]:
        if self.depth is None:
            return dict.fromkeys((*COLORS, *STYLES), "")
        if self.background is None:
            colors = _unknown(self.depth)
        else:
            colors = {name: shade.parameters for name, shade in shades(self.background, self.depth).items()}
        styles = {
            name: ";".join(filter(None, (style.attributes, colors.get(style.color)))) for name, style in STYLES.items()
        }
        return {name: colors[name] for name in COLORS} | styles


# ---------------------------------------------------------------------------------------------------------- other codes

# From "XTerm Control Sequences", https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, if nothing else is said.

# Which colour is the background (OSC 11), and what are you (DA1)? Every terminal answers the second, and answers in
# order: who has that answer need not wait for the first any more.
ASK_BACKGROUND = "\x1b]11;?\x07\x1b[c"
FOCUS_EVENTS_ON = "\x1b[?1004h"  # tell when the window gets and loses the focus
FOCUS_EVENTS_OFF = "\x1b[?1004l"
FOCUS_IN = "\x1b[I"  # so it is told
FOCUS_OUT = "\x1b[O"
SAVE_TITLE = "\x1b[22;2t"  # keep the window's title on a stack
RESTORE_TITLE = "\x1b[23;2t"
BELL = "\x07"
CLEAR = "\x1b[H\x1b[2J"  # the cursor to the first cell, and no text on the screen; what is scrolled away stays
CLEAR_ALL = CLEAR + "\x1b[3J"  # that goes too
# Show nothing of what follows until OFF, then all at once; whoever does not know it shows it as it comes. From
# https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036.
SYNC_ON = "\x1b[?2026h"
SYNC_OFF = "\x1b[?2026l"

# The longest answers have some 40 characters; what goes on for more than 64 is none, and must not hold keys back.
_ANSWER = re.compile(r"\x1b\]11;[!-~]{0,64}(?:\x07|\x1b\\)|\x1b\[\?[0-9;]{0,64}c")
_ANSWER_START = re.compile(r"\x1b(?:\](?:1(?:1(?:;[!-~]{0,64}\x1b?)?)?)?|\[(?:\?[0-9;]{0,64})?)?\Z")
_BACKGROUND = re.compile(
    r"\x1b\]11;(?:rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})(?:/[0-9a-f]{1,4})?"
    r"|#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2}))(?:\x07|\x1b\\)",
    re.IGNORECASE,
)


def title(text: str) -> str:
    """Return what makes `text` the window's title (OSC 2), without characters that do not print."""
    return f"\x1b]2;{''.join(filter(str.isprintable, text))}\x07"


def split_answers(text: str) -> tuple[str, list[str], str]:
    """Take the answers to ASK_BACKGROUND out of what was read: return the keys, the answers, and an unfinished answer.

    The caller puts the unfinished one, empty mostly, before what is read next. If nothing follows soon it was typed,
    the Escape key alone for one. The answer that ends in `c` is the last.
    """
    *keys, rest = _ANSWER.split(text)
    start = _ANSWER_START.search(rest)
    end = start.start() if start else len(rest)
    return "".join(keys) + rest[:end], _ANSWER.findall(text), rest[end:]


def background_of(answer: str) -> RGB | None:
    """Return the background that a terminal tells, or None if `answer` tells none. Never raises."""
    told = _BACKGROUND.search(answer)
    if told is None:
        return None
    red, green, blue = (round(255 * int(part, 16) / (16 ** len(part) - 1)) for part in told.groups() if part)
    return red, green, blue


def print_chart() -> None:
    """Print the chart of the twelve colours to standard output, in colour where that shows colours."""
    palette = Palette.for_stream(sys.stdout)
    for row in chart():
        print("".join(palette.paint(style, text) for text, style in row))
