"""The twelve colours of the chat, in shades that are readable on this terminal, and the escape codes of the client.

The client queries the terminal's background with `QUERY_BACKGROUND` and reads the response with `split_responses` and
`parse_background`. A `Palette` has a shade for each colour and style, with a contrast of at least `MIN_CONTRAST`
against that background. Without a response it uses codes 16 and up of the 256-colour palette, which look alike on all
terminals and are readable on black and on white. There the colours black and white set a background of their own.
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

MIN_CONTRAST = 4.5  # between a shade and its background: WCAG 2.1, criterion 1.4.3, text of normal size
MIN_SEPARATION = 0.06  # between two shades in Oklab; in CSS Color 4 a distance of 0.02 is just noticeable
CHART_COLUMNS = 4  # colours in a row of the chart: 3 rows, within 80 terminal columns

_STEPS = 64  # shades from a colour to black, and as many to white: neighbours are hard to tell apart
# The weight of lightness, beside hue, in the search for the nearest shade. It is below 1 because the contrast changes
# the lightness anyway, and a red must stay a red. With 16 colours, few of which have the contrast, it is lower still,
# or a grey would become a red.
_LIGHTNESS_WEIGHT = 1 / 2
_LIGHTNESS_WEIGHT_16 = 1 / 3
_FIRST_CUBE_CODE = 16
_FIRST_GREY_CODE = 232

RGB = tuple[int, int, int]  # red, green and blue, 0 to 255 each

# -------------------------------------------------------------------------------------------------- colours and styles


def code_to_rgb(code: int) -> RGB:
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
    """One colour: its ideal shade, and its palette codes for an unknown background."""

    ideal: RGB
    code: int  # of the text
    background: int | None = None  # code behind the text, for a colour that would be unreadable without it

    @property
    def rgb(self) -> RGB:
        """The colour of the text on an unknown background."""
        return code_to_rgb(self.code)


# The names and their order are those of the protocol. With these ideals the shades stay distinct on common backgrounds,
# dark and light.
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
# Dim text is grey, because some terminals ignore the faint attribute. It is first, so that on black the shade of black
# is chosen to differ from it.
_DIM = "dim"
_ALL: Mapping[str, Color] = {_DIM: Color((118, 118, 118), 244), **COLORS}


class Style(NamedTuple):
    """The look of text that is neither a name nor a message."""

    color: str = ""  # one of the twelve, or dim; empty for the terminal's default
    attributes: str = ""  # SGR parameters: 1 is bold, 7 reverse video


STYLES: Mapping[str, Style] = {
    "presence": Style(_DIM),
    "time": Style(_DIM),
    "notice": Style("cyan"),
    "error": Style("red", "1"),
    "mention": Style("pink", "1"),  # the text of a message that mentions the user
    "marker": Style("orange"),  # a separator before new lines or a new day, and the prompt about pasted lines
    "status": Style(_DIM),
    "selected": Style(attributes="7"),  # the selected completion
    "hint": Style(_DIM),  # the suggestion behind the cursor
}


def display_name(name: str) -> str:
    """Return the colour's name as it is written in text: `light blue` for `light-blue`."""
    return name.replace("-", " ")


def chart_rows() -> list[list[tuple[str, str]]]:
    """Return the rows of a chart of the twelve names, numbered from 1: pairs of a text and its style."""
    width = max(map(len, COLORS))
    rows: list[list[tuple[str, str]]] = []
    for index, name in enumerate(COLORS):
        if index % CHART_COLUMNS == 0:
            rows.append([])
        else:
            rows[-1].append(("  " + " " * (width - len(rows[-1][-1][0])), ""))
        rows[-1] += [(f"{index + 1:2} ", ""), (display_name(name), name)]
    return rows


# ------------------------------------------------------------------------------------- what the terminal is capable of


class Depth(Enum):
    """The number of colours that a terminal can show."""

    TRUE_COLOR = "24 bits: any red, green and blue"
    CODES_256 = "a palette of 256 colours, of which 16 to 255 are the same on all terminals"
    CODES_16 = "the 16 standard colours, as in xterm; on a terminal with other shades the contrast differs"


def detect_depth(environ: Mapping[str, str] = os.environ) -> Depth:
    """Return the colour depth that the terminal's environment variables announce.

    VTE, Konsole, iTerm2 and others set COLORTERM (https://github.com/termstandard/colors). The terminfo names for true
    colour end in `-direct`, those for the palette contain `256color`. Node.js and notcurses use these variables too.
    """
    term = environ.get("TERM", "")
    if environ.get("COLORTERM") in {"truecolor", "24bit"} or term.endswith("-direct"):
        return Depth.TRUE_COLOR
    return Depth.CODES_256 if "256color" in term else Depth.CODES_16


def wants_color(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether colours may be written to `stream`. Nothing else in the program decides this.

    NO_COLOR forbids them (https://no-color.org), else FORCE_COLOR enables them (https://force-color.org), else the
    stream must be a terminal that is not dumb. An empty variable counts as unset, a closed stream as no terminal.
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
    """A colour as it looks, and the escape code's parameters that select it."""

    rgb: RGB
    sgr: str  # the parameters between `ESC [` and `m` (Select Graphic Rendition)


# The eight standard colours and their bright versions in xterm (XTerm-col.ad in its sources).
_STANDARD = ((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229,) * 3)
_BRIGHT = ((127,) * 3, (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255), (255,) * 3)
_CODES_16 = [
    *(Shade(shown, f"{30 + number}") for number, shown in enumerate(_STANDARD)),
    *(Shade(shown, f"{90 + number}") for number, shown in enumerate(_BRIGHT)),
]
_CODES_256 = [Shade(code_to_rgb(code), f"38;5;{code}") for code in range(_FIRST_CUBE_CODE, 256)]


def choose_shades(background: RGB, depth: Depth) -> dict[str, Shade]:
    """Return the shade of each colour on `background`: the one nearest to its ideal that is readable.

    One always exists: black or white has a contrast of 4.58 or more against any background. A shade also keeps
    MIN_SEPARATION from the earlier ones, where that is possible: on a middle grey only near-blacks have the contrast.
    """
    ideals = {name: color.ideal for name, color in _ALL.items()}
    found = _choose(background, ideals, _mix_with_black_and_white, MIN_SEPARATION)
    if depth is Depth.TRUE_COLOR:
        return found
    ideals = {name: shade.rgb for name, shade in found.items()}
    if depth is Depth.CODES_256:
        return _choose(background, ideals, lambda _: _CODES_256, MIN_SEPARATION)
    return _choose(background, ideals, lambda _: _CODES_16, 0, _LIGHTNESS_WEIGHT_16)  # too few for a separation


def _choose(
    background: RGB,
    ideals: Mapping[str, RGB],
    candidates: Callable[[RGB], Iterable[Shade]],
    separation: float,
    lightness_weight: float = _LIGHTNESS_WEIGHT,
) -> dict[str, Shade]:
    chosen: dict[str, Shade] = {}
    for name, ideal in ideals.items():
        readable = (shade for shade in candidates(ideal) if contrast(shade.rgb, background) >= MIN_CONTRAST)
        taken = [shade.rgb for shade in chosen.values()]
        chosen[name] = _find_nearest(ideal, readable, taken, separation, lightness_weight)
    return chosen


def _find_nearest(
    ideal: RGB, shades: Iterable[Shade], taken: list[RGB], separation: float, lightness_weight: float
) -> Shade:
    """Return the shade nearest to `ideal` with this separation from all `taken`, or else the best separated one."""

    def fitness(shade: Shade) -> tuple[float, float]:
        gap = min((_distance(shade.rgb, other) for other in taken), default=separation)
        return min(gap, separation), -_distance(shade.rgb, ideal, lightness_weight)

    return max(shades, key=fitness)


def _mix_with_black_and_white(ideal: RGB) -> list[Shade]:
    """Return the shades of one hue: the ideal mixed with more and more black, then with more and more white."""
    mixed = [_mix(ideal, end, step) for end in (0, 255) for step in range(_STEPS + 1)]
    return [Shade(rgb, "38;2;{};{};{}".format(*rgb)) for rgb in mixed]


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
    """Return the linear light, 0 to 1, of one component of an sRGB colour (IEC 61966-2-1)."""
    level = part / 255
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4


def _distance(one: RGB, other: RGB, lightness_weight: float = 1.0) -> float:
    """Return the perceived difference of two colours: their distance in Oklab, where black and white are 1 apart."""
    lightness, red, yellow = map(operator.sub, _oklab(one), _oklab(other))
    return math.hypot(lightness_weight * lightness, red, yellow)


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


def _fixed_shades(depth: Depth) -> dict[str, str]:
    """Return the SGR parameters of each colour for an unknown background."""

    def sgr(code: int, offset: int = 0) -> str:
        if depth is not Depth.CODES_16:
            return f"{38 + offset};5;{code}"
        nearest = min(_CODES_16, key=lambda shade: _distance(shade.rgb, code_to_rgb(code)))
        return str(int(nearest.sgr) + offset)

    return {
        name: sgr(color.code) + ("" if color.background is None else f";{sgr(color.background, offset=10)}")
        for name, color in _ALL.items()
    }


# -------------------------------------------------------------------------------------------------------------- palette


@dataclass(frozen=True)
class Palette:
    """The escape codes of all styles on a background, None if that is unknown. A depth of None means no colours.

    Any thread may use it. The shades are computed once, at the first use.
    """

    background: RGB | None
    depth: Depth | None

    @classmethod
    def for_stream(cls, stream: TextIO) -> Self:
        """Return the palette for output to `stream`, with the depth that the environment announces."""
        return cls(None, detect_depth() if wants_color(stream) else None)

    def sgr(self, style: str) -> str:
        """Return the SGR parameters for `style`, a key of COLORS or STYLES; none for an empty style.

        Raises ValueError, which lists the valid styles.
        """
        if style and style not in self._parameters:
            raise ValueError(f"there is no style {style!r}; choose one of {', '.join(self._parameters)}")
        return self._parameters[style] if style else ""

    def paint(self, style: str, text: str) -> str:
        """Return `text` in `style`, a key of COLORS or STYLES, reset at its end; an empty style leaves it unchanged.

        Raises ValueError, which lists the valid styles.
        """
        parameters = self.sgr(style)
        return f"\x1b[{parameters}m{text}\x1b[0m" if parameters else text

    @cached_property
    def _parameters(self) -> Mapping[str, str]:
        if self.depth is None:
            return dict.fromkeys((*COLORS, *STYLES), "")
        if self.background is None:
            colors = _fixed_shades(self.depth)
        else:
            colors = {name: shade.sgr for name, shade in choose_shades(self.background, self.depth).items()}
        styles = {
            name: ";".join(filter(None, (style.attributes, colors.get(style.color)))) for name, style in STYLES.items()
        }
        return {name: colors[name] for name in COLORS} | styles


# ---------------------------------------------------------------------------------------------------------- other codes

# The source is "XTerm Control Sequences", https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, where no other is
# named.

# The query for the background colour (OSC 11), and one for the device attributes (DA1). Every terminal responds to the
# second one, and in order: after that response there is no need to wait for the first one.
QUERY_BACKGROUND = "\x1b]11;?\x07\x1b[c"
ENABLE_FOCUS_EVENTS = "\x1b[?1004h"
DISABLE_FOCUS_EVENTS = "\x1b[?1004l"
FOCUS_IN = "\x1b[I"
FOCUS_OUT = "\x1b[O"
SAVE_TITLE = "\x1b[22;2t"  # push the window's title on a stack
RESTORE_TITLE = "\x1b[23;2t"
BELL = "\x07"
CLEAR_SCREEN = "\x1b[H\x1b[2J"  # without the scrollback; the cursor goes to the first cell
CLEAR_ALL = CLEAR_SCREEN + "\x1b[3J"  # with the scrollback
# A synchronized update: the terminal shows all of it at once. Terminals that do not know it show the text as it comes.
# https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036
BEGIN_SYNC = "\x1b[?2026h"
END_SYNC = "\x1b[?2026l"

# The longest responses have some 40 characters. Input that goes on for more than 64 is none, and must not delay keys.
_RESPONSE = re.compile(r"\x1b\]11;[!-~]{0,64}(?:\x07|\x1b\\)|\x1b\[\?[0-9;]{0,64}c")
_RESPONSE_START = re.compile(r"\x1b(?:\](?:1(?:1(?:;[!-~]{0,64}\x1b?)?)?)?|\[(?:\?[0-9;]{0,64})?)?\Z")
_BACKGROUND = re.compile(
    r"\x1b\]11;(?:rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})(?:/[0-9a-f]{1,4})?"
    r"|#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2}))(?:\x07|\x1b\\)",
    re.IGNORECASE,
)


def title_sequence(text: str) -> str:
    """Return the escape code that sets the window's title (OSC 2) to the printable characters of `text`."""
    return f"\x1b]2;{''.join(filter(str.isprintable, text))}\x07"


def split_responses(text: str) -> tuple[str, list[str], str]:
    """Split terminal input into keys, responses to QUERY_BACKGROUND, and an unfinished response.

    The caller puts the unfinished one, which is mostly empty, before the next input. If no input follows soon, it was
    typed: the Escape key alone, for example. The response that ends in `c` is the last one.
    """
    *keys, rest = _RESPONSE.split(text)
    start = _RESPONSE_START.search(rest)
    end = start.start() if start else len(rest)
    return "".join(keys) + rest[:end], _RESPONSE.findall(text), rest[end:]


def parse_background(response: str) -> RGB | None:
    """Return the background in an OSC 11 response, None for any other response. Never raises."""
    match = _BACKGROUND.search(response)
    if match is None:
        return None
    red, green, blue = (round(255 * int(part, 16) / (16 ** len(part) - 1)) for part in match.groups() if part)
    return red, green, blue


def print_chart() -> None:
    """Print the chart of the twelve colours to standard output, in colour if that is allowed there."""
    palette = Palette.for_stream(sys.stdout)
    for row in chart_rows():
        print("".join(palette.paint(style, text) for text, style in row))
