"""Colours: every shade is readable, painted text ends with a reset, and responses are separated from keys."""

import ast
import colorsys
import io
import itertools
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pyte
import pytest
from hypothesis import given, strategies as st

from hubbub import color, protocol
from hubbub.color import RGB, Depth, Palette

ROOT = Path(color.__file__).parents[1]
ESCAPE_CODE = re.compile(r"\x1b\[[0-9;]*m")
# The least contrast of the shades for an unknown background. WCAG 2.1 requires 3:1 for large text. No cyan of the
# palette has it on white; the nearest has 2.71:1.
CONTRAST_UNKNOWN = 2.7
XTERM_16 = [
    *["000000", "cd0000", "00cd00", "cdcd00", "0000ee", "cd00cd", "00cdcd", "e5e5e5"],
    *["7f7f7f", "ff0000", "00ff00", "ffff00", "5c5cff", "ff00ff", "00ffff", "ffffff"],
]
BACKGROUNDS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "solarized dark": (0x00, 0x2B, 0x36),
    "solarized light": (0xFD, 0xF6, 0xE3),
    "dracula": (0x28, 0x2A, 0x36),
    "nord": (0x2E, 0x34, 0x40),
}
GREY = (128, 128, 128)
FINE = [Depth.TRUE_COLOR, Depth.CODES_256]
UNCOLORED = Palette(None, None)
PAINTED = [style for style in (*color.COLORS, *color.STYLES) if style != "selected"]  # that one is in reverse video
backgrounds = st.tuples(*[st.integers(0, 255)] * 3)
# Keys as a terminal sends them: letters, control keys, Escape, arrows, function keys, a paste, Alt and a letter.
KEYS = [
    "a",
    "7",
    ";",
    "é",
    "日",
    "\r",
    "\x03",
    "\x07",
    "\x1b",
    "\x1b[A",
    "\x1bOP",
    "\x1b[200~",
    "\x1b[1;5D",
    "\x1bb",
    "\x1b[I",
]
RESPONSES = ["\x1b]11;rgb:0000/2b2b/3636\x07", "\x1b]11;rgb:ff/ff/ff\x1b\\", "\x1b[?64;1;2c", "\x1b[?6c"]


class Stream(io.StringIO):
    """A stream that is a terminal, or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Return what the constructor was given. Raises ValueError after `close`."""
        super().isatty()
        return self._terminal


def linear(rgb: RGB) -> list[float]:
    """Return the linear light of each component of an sRGB colour."""
    levels = [value / 255 for value in rgb]
    return [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]


def luminance(rgb: RGB) -> float:
    """Return the relative luminance as WCAG 2.1 defines it."""
    red, green, blue = linear(rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def lab(rgb: RGB) -> tuple[float, float, float]:
    """Return L*, a* and b* of CIE 1976 (white D65): a different colour space from the one that chooses the shades."""
    red, green, blue = linear(rgb)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (math.cbrt(value) if value > 0.008856 else 7.787 * value + 16 / 116 for value in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def difference(one: RGB, other: RGB) -> float:
    """Return the colour difference of CIE 1976; people see one of about 2.3."""
    return math.dist(lab(one), lab(other))


def shown(parameters: str) -> RGB:
    """Return the colour that a terminal shows for SGR parameters: true colour, a palette code, or one of the 16."""
    numbers = [int(number) for number in parameters.removeprefix("1;").split(";")]
    if numbers[:2] == [38, 2]:
        return numbers[2], numbers[3], numbers[4]
    if numbers[:2] == [38, 5]:
        return color.code_to_rgb(numbers[2])
    (code,) = numbers
    red, green, blue = bytes.fromhex(XTERM_16[code - 30 if code < 90 else code - 82])
    return red, green, blue


def shown_colors(background: RGB, depth: Depth) -> dict[str, RGB]:
    """Return the shade of each of the twelve colours."""
    palette = Palette(background, depth)
    return {name: shown(palette.sgr(name)) for name in color.COLORS}


def least_difference(background: RGB, depth: Depth) -> float:
    """Return the difference of the two most similar of the twelve colours."""
    return min(difference(*pair) for pair in itertools.combinations(shown_colors(background, depth).values(), 2))


def contrast(one: RGB, other: RGB) -> float:
    """Return the contrast ratio as WCAG 2.1 defines it, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def painted_chart(palette: Palette) -> str:
    """Return the chart as it is printed."""
    rows = ("".join(palette.paint(style, text) for text, style in row) for row in color.chart_rows())
    return "".join(row + "\n" for row in rows)


def escapes_in(path: Path) -> list[str]:
    """Return every string of a Python file that contains an ESC."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant))
    texts = (value.decode("latin-1") if isinstance(value, bytes) else value for value in constants)
    return [text for text in texts if isinstance(text, str) and "\x1b" in text]


# ---------------------------------------------------------------------------------------------------------------- table


def test_names_and_order_are_those_of_the_protocol() -> None:
    """Only colour names cross the wire, so both tables name the same twelve."""
    assert tuple(color.COLORS) == protocol.COLORS


@pytest.mark.parametrize("name", color.COLORS)
@pytest.mark.parametrize("paper", [(0, 0, 0), (255, 255, 255)], ids=["on black", "on white"])
def test_every_colour_is_readable_on_an_unknown_background(name: str, paper: RGB) -> None:
    """On black and on white."""
    listed = color.COLORS[name]
    behind = paper if listed.background is None else color.code_to_rgb(listed.background)

    assert contrast(listed.rgb, behind) >= CONTRAST_UNKNOWN


def test_black_and_white_have_a_background() -> None:
    """Only these two would be invisible on a terminal of their own colour."""
    assert [name for name, listed in color.COLORS.items() if listed.background is not None] == ["black", "white"]


def test_no_two_colours_are_alike() -> None:
    """Any two of the twelve differ by at least 40 of 255, one step of the palette, in red, green or blue."""
    for one, other in itertools.combinations(color.COLORS.values(), 2):
        assert max(abs(a - b) for a, b in zip(one.rgb, other.rgb, strict=True)) >= 40


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (16, (0, 0, 0)),
        (21, (0, 0, 255)),
        (46, (0, 255, 0)),
        (67, (95, 135, 175)),
        (196, (255, 0, 0)),
        (231, (255, 255, 255)),
        (232, (8, 8, 8)),
        (255, (238, 238, 238)),
    ],
)
def test_palette_code_has_its_rgb(code: int, expected: tuple[int, int, int]) -> None:
    """The values are those that xterm gives."""
    assert color.code_to_rgb(code) == expected


@pytest.mark.parametrize("code", [-1, 0, 15, 256])
def test_code_without_a_fixed_colour_is_refused(code: int) -> None:
    """The first 16 codes depend on the terminal's theme, and 255 is the last."""
    with pytest.raises(ValueError, match=f"palette code {code} "):
        color.code_to_rgb(code)


# --------------------------------------------------------------------------------------------------------------- shades


@pytest.mark.parametrize("depth", Depth)
@given(background=backgrounds)
def test_every_style_is_readable_on_any_background(depth: Depth, background: RGB) -> None:
    """Each colour and each style has a contrast of 4.5 or more, whatever the terminal's background."""
    palette = Palette(background, depth)

    weak = {style for style in PAINTED if contrast(shown(palette.sgr(style)), background) < 4.5}

    assert weak == set()


@pytest.mark.parametrize(("depth", "least"), [(Depth.TRUE_COLOR, 25), (Depth.CODES_256, 19)])
@pytest.mark.parametrize("background", BACKGROUNDS.values(), ids=BACKGROUNDS)
def test_twelve_colours_are_distinct_on_common_backgrounds(background: RGB, depth: Depth, least: float) -> None:
    """A difference of 2.3 is just noticeable, and these are many times as large."""
    assert least_difference(background, depth) >= least


def test_twelve_colours_stay_different_on_a_middle_grey() -> None:
    """Only near-blacks are readable there, and no two are the same."""
    assert len(set(shown_colors(GREY, Depth.TRUE_COLOR).values())) == len(color.COLORS)


@pytest.mark.parametrize("depth", Depth)
def test_black_and_white_differ_clearly_on_black(depth: Depth) -> None:
    """Black is a grey there, far from white."""
    both = shown_colors((0, 0, 0), depth)

    assert difference(both["black"], both["white"]) >= 40


@pytest.mark.parametrize("name", ["black", "white"])
@pytest.mark.parametrize("depth", FINE)
@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255)], ids=["on black", "on white"])
def test_black_and_white_differ_from_dim_text(background: RGB, depth: Depth, name: str) -> None:
    """A name in one of these colours is not grey like times and presence."""
    palette = Palette(background, depth)

    assert difference(shown(palette.sgr(name)), shown(palette.sgr("time"))) >= 5


@pytest.mark.parametrize("name", [name for name in color.COLORS if name not in {"black", "white"}])
@pytest.mark.parametrize("background", BACKGROUNDS.values(), ids=BACKGROUNDS)
def test_true_colour_keeps_its_hue(background: RGB, name: str) -> None:
    """A shade is lighter or darker than its ideal, and of the same hue to a hundredth of the circle."""
    hues = [
        colorsys.rgb_to_hls(*[part / 255 for part in shade])[0]
        for shade in (color.COLORS[name].ideal, shown_colors(background, Depth.TRUE_COLOR)[name])
    ]

    assert min(abs(hues[0] - hues[1]), 1 - abs(hues[0] - hues[1])) <= 0.01


@pytest.mark.parametrize("depth", Depth)
@given(background=backgrounds)
def test_dim_text_has_no_hue(depth: Depth, background: RGB) -> None:
    """Times and presence are grey, or black or white where there is no grey."""
    assert len(set(shown(Palette(background, depth).sgr("time")))) == 1


def test_readable_colour_is_its_ideal() -> None:
    """It is not changed where the background allows it."""
    assert shown_colors((0, 0, 0), Depth.TRUE_COLOR)["yellow"] == color.COLORS["yellow"].ideal


def test_no_shade_sets_a_background() -> None:
    """On a known background no name has a block of another colour behind it."""
    parameters = [Palette(paper, Depth.CODES_256).sgr(name) for paper in BACKGROUNDS.values() for name in PAINTED]

    assert [text for text in parameters if "48;5" in text] == []


# -------------------------------------------------------------------------------------------------------------- palette


@pytest.mark.parametrize(
    ("depth", "start"), [(Depth.TRUE_COLOR, "38;2;"), (Depth.CODES_256, "38;5;"), (Depth.CODES_16, "9")]
)
def test_depth_decides_how_a_colour_is_named(depth: Depth, start: str) -> None:
    """The codes are those that the terminal understands."""
    assert Palette((0, 0, 0), depth).sgr("white").startswith(start)


@pytest.mark.parametrize("name", color.COLORS)
@pytest.mark.parametrize("depth", FINE)
def test_unknown_background_gets_the_codes_of_the_table(name: str, depth: Depth) -> None:
    """They are readable on black and on white."""
    listed = color.COLORS[name]
    behind = "" if listed.background is None else f";48;5;{listed.background}"

    assert Palette(None, depth).sgr(name) == f"38;5;{listed.code}{behind}"


@pytest.mark.parametrize("style", [*color.COLORS, *color.STYLES])
def test_simple_terminal_gets_only_the_16_standard_colours(style: str) -> None:
    """Codes 30 to 37 and 90 to 97 are for the text, 10 more for its background; 1 and 7 are attributes."""
    known = {1, 7, *range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)}

    found = [Palette(paper, Depth.CODES_16).sgr(style) for paper in (None, *BACKGROUNDS.values())]

    assert {int(number) for parameters in found for number in parameters.split(";")} <= known


@pytest.mark.parametrize("background", [None, (0, 0, 0)], ids=["unknown", "black"])
@pytest.mark.parametrize("style", [*color.COLORS, *color.STYLES])
def test_paint_wraps_and_resets(style: str, background: RGB | None) -> None:
    """Painted text starts with one code, holds the text as it was and ends with a reset."""
    palette = Palette(background, Depth.CODES_256)

    assert palette.paint(style, "alice") == f"\x1b[{palette.sgr(style)}malice\x1b[0m"


def test_empty_text_is_reset_too() -> None:
    """The colour ends with the text."""
    assert Palette(None, Depth.CODES_256).paint("red", "").endswith("\x1b[0m")


@pytest.mark.parametrize("palette", [Palette(None, Depth.CODES_256), Palette((0, 0, 0), Depth.TRUE_COLOR), UNCOLORED])
def test_empty_style_leaves_the_text(palette: Palette) -> None:
    """It is not changed."""
    assert palette.paint("", "alice") == "alice"


@pytest.mark.parametrize("style", [*color.COLORS, *color.STYLES])
def test_palette_of_none_paints_nothing(style: str) -> None:
    """Without colours the text has no codes."""
    assert (UNCOLORED.paint(style, "alice"), UNCOLORED.sgr(style)) == ("alice", "")


@pytest.mark.parametrize("palette", [Palette(None, Depth.CODES_256), Palette((0, 0, 0), Depth.TRUE_COLOR), UNCOLORED])
@pytest.mark.parametrize("style", ["mauve", "dim", "Red"])
def test_unknown_style_is_refused_naming_the_known(palette: Palette, style: str) -> None:
    """The error lists the known styles, with and without colours."""
    with pytest.raises(
        ValueError, match=rf"no style '{style}'; choose one of black, white, .*purple, presence, .*hint$"
    ):
        palette.paint(style, "alice")


def test_error_and_mention_are_bold() -> None:
    """Important text is recognisable without its colour too."""
    palette = Palette((0, 0, 0), Depth.TRUE_COLOR)

    assert [style for style in color.STYLES if palette.sgr(style).startswith("1;")] == ["error", "mention"]


def test_selected_candidate_is_in_reverse_video() -> None:
    """It is visible on every terminal, because it has the terminal's own two colours."""
    assert {Palette(paper, depth).sgr("selected") for paper in (None, GREY) for depth in Depth} == {"7"}


def test_palettes_of_the_same_terminal_are_equal() -> None:
    """A change can be detected by comparison."""
    assert Palette((0, 0, 0), Depth.CODES_16) == Palette((0, 0, 0), Depth.CODES_16) != Palette(GREY, Depth.CODES_16)


# ---------------------------------------------------------------------------------------------------------------- chart


def test_chart_numbers_the_names_from_1_to_12() -> None:
    """The chart has the twelve names in the order of the table."""
    cells = re.findall(r"(\d+) ([a-z]+(?: [a-z]+)?)", painted_chart(UNCOLORED))

    assert cells == [(str(number), color.display_name(name)) for number, name in enumerate(color.COLORS, start=1)]


def test_chart_shows_each_name_in_its_own_colour() -> None:
    """The texts with a style are the twelve names."""
    styled = [(text, style) for row in color.chart_rows() for text, style in row if style]

    assert styled == [(color.display_name(name), name) for name in color.COLORS]


def test_chart_has_four_aligned_columns() -> None:
    """Every row fits into 80 columns and ends with a name."""
    rows = ["".join(text for text, _ in row) for row in color.chart_rows()]

    assert max(map(len, rows)) <= 80
    assert [row for row in rows if row != row.rstrip()] == []
    assert {tuple(match.end() for match in re.finditer(r"\d+", row)) for row in rows} == {(2, 17, 32, 47)}


def test_light_blue_is_written_with_a_space() -> None:
    """The text is `light blue`, the wire has `light-blue`."""
    assert color.display_name("light-blue") == "light blue"


@pytest.mark.parametrize(("variable", "colored"), [("NO_COLOR", False), ("FORCE_COLOR", True)])
def test_running_the_file_shows_the_chart(
    variable: str, colored: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python3 color.py` prints the chart, in colour where that is allowed."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, "1")

    color.print_chart()

    palette = Palette(None, color.detect_depth()) if colored else UNCOLORED
    assert capsys.readouterr().out == painted_chart(palette)


# ---------------------------------------------------------------------------------------------------------- wants_color


@pytest.mark.parametrize(
    ("environ", "terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"NO_COLOR": "", "FORCE_COLOR": "1"}, False, True),
    ],
)
def test_environment_and_terminal_decide(environ: Mapping[str, str], terminal: bool, wanted: bool) -> None:
    """NO_COLOR comes first, then FORCE_COLOR, then TERM=dumb, then whether the stream is a terminal."""
    assert color.wants_color(Stream(terminal=terminal), environ) is wanted


def test_closed_stream_has_no_colours() -> None:
    """It raises no error."""
    stream = Stream(terminal=True)
    stream.close()

    assert color.wants_color(stream, {}) is False


@pytest.mark.parametrize(("terminal", "depth"), [(True, Depth.CODES_256), (False, None)])
def test_stream_has_its_palette(terminal: bool, depth: Depth | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The depth is that of the environment, None where colours are not allowed; the background is unknown."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    assert Palette.for_stream(Stream(terminal=terminal)) == Palette(None, depth)


# ---------------------------------------------------------------------------------------------------------------- depth


@pytest.mark.parametrize(
    ("environ", "depth"),
    [
        ({}, Depth.CODES_16),
        ({"TERM": "xterm"}, Depth.CODES_16),
        ({"TERM": "linux", "COLORTERM": "1"}, Depth.CODES_16),
        ({"TERM": "xterm-256color"}, Depth.CODES_256),
        ({"TERM": "screen-256color-bce"}, Depth.CODES_256),
        ({"TERM": "rxvt-unicode-256color", "COLORTERM": "rxvt"}, Depth.CODES_256),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, Depth.TRUE_COLOR),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, Depth.TRUE_COLOR),
        ({"TERM": "xterm-direct"}, Depth.TRUE_COLOR),
    ],
)
def test_depth_comes_from_the_environment(environ: Mapping[str, str], depth: Depth) -> None:
    """COLORTERM comes first, then TERM; without both there are the 16 standard colours."""
    assert color.detect_depth(environ) is depth


# ------------------------------------------------------------------------------------------------------------ responses


@pytest.mark.parametrize(
    ("value", "background"),
    [
        ("rgb:0000/2b2b/3636", (0, 0x2B, 0x36)),
        ("rgb:00/2b/36", (0, 0x2B, 0x36)),
        ("rgb:f/0/8", (255, 0, 136)),
        ("rgb:fff/000/800", (255, 0, 128)),
        ("rgb:FFFF/ffFF/0000", (255, 255, 0)),
        ("rgba:ffff/ffff/ffff/8000", (255, 255, 255)),
        ("#fdf6e3", (0xFD, 0xF6, 0xE3)),
    ],
)
@pytest.mark.parametrize("end", ["\x07", "\x1b\\"], ids=["BEL", "ST"])
def test_background_in_a_response(value: str, background: RGB, end: str) -> None:
    """All forms of a colour are parsed."""
    assert color.parse_background(f"\x1b]11;{value}{end}") == background


@pytest.mark.parametrize(
    "response",
    [
        "",
        "\x1b[?64;1;2c",
        "\x1b]11;?\x07",
        "\x1b]10;rgb:00/00/00\x07",
        "\x1b]11;rgb:00/00\x07",
        "\x1b]11;rgb:00000/00/00\x07",
        "\x1b]11;rgb:gg/00/00\x07",
        "\x1b]11;#12345\x07",
        "\x1b]11;rgb:ffff/ffff/ff",
    ],
)
def test_response_without_a_background(response: str) -> None:
    """Responses to other queries, malformed and unfinished ones have none."""
    assert color.parse_background(response) is None


@given(response=st.one_of(st.text(), st.text("\x1b]1;rgba:#0f/\x07\\").map("\x1b]11;".__add__)))
def test_no_response_is_an_error(response: str) -> None:
    """Nothing is raised for any input."""
    background = color.parse_background(response)

    assert background is None or all(0 <= part <= 255 for part in background)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 99))), st.lists(st.integers(1, 9)))
def test_responses_are_separated_from_keys(picks: list[tuple[bool, int]], cuts: list[int]) -> None:
    """Keys are unchanged and responses whole, wherever one read ends and the next begins."""
    pieces = [
        (typed, (KEYS if typed else RESPONSES)[pick % len(KEYS if typed else RESPONSES)]) for typed, pick in picks
    ]
    rest = "".join(text for _, text in pieces)
    keys, unfinished = "", ""
    responses: list[str] = []

    for cut in [*cuts, len(rest)]:
        found, more, unfinished = color.split_responses(unfinished + rest[:cut])
        rest, keys, responses = rest[cut:], keys + found, responses + more

    assert keys + unfinished == "".join(text for typed, text in pieces if typed)
    assert responses == [text for typed, text in pieces if not typed]


@pytest.mark.parametrize("response", RESPONSES)
def test_start_of_a_response_is_unfinished(response: str) -> None:
    """No part of it is returned as a key."""
    starts = [response[:length] for length in range(1, len(response))]

    assert [color.split_responses(f"a{start}") for start in starts] == [("a", [], start) for start in starts]


@pytest.mark.parametrize("keys", [key for key in KEYS if key != "\x1b"])
def test_only_escape_is_unfinished(keys: str) -> None:
    """Arrows, function keys, and Alt with a letter are returned at once."""
    assert color.split_responses(keys) == (keys, [], "")


def test_escape_is_returned_with_the_next_key() -> None:
    """The Escape key could start a response; the next key shows that it does not."""
    assert color.split_responses("\x1b") == ("", [], "\x1b")
    assert color.split_responses("\x1bx") == ("\x1bx", [], "")


def test_response_without_an_end() -> None:
    """After 64 characters it counts as keys."""
    endless = "\x1b]11;" + "x" * 65

    assert color.split_responses(endless) == (endless, [], "")


# ---------------------------------------------------------------------------------------------------------- other codes


def test_query_asks_for_background_and_device_attributes() -> None:
    """Every terminal responds to the second query."""
    assert color.QUERY_BACKGROUND == "\x1b]11;?\x07\x1b[c"


def test_title_sequence() -> None:
    """The title is between the start of the code and its end."""
    assert color.title_sequence("lobby (3) 日") == "\x1b]2;lobby (3) 日\x07"


def test_title_has_no_control_characters() -> None:
    """A text cannot end the title, start another code, or change the text direction."""
    assert color.title_sequence("a\x07\x1b[2Jb\x9c\n\u202ec") == "\x1b]2;a[2Jbc\x07"


@pytest.mark.parametrize(("code", "rows"), [(color.CLEAR_SCREEN, ["", "", ""]), (color.CLEAR_ALL, ["", "", ""])])
def test_clear_leaves_an_empty_screen(code: str, rows: list[str]) -> None:
    """The cursor is in the first cell."""
    screen = pyte.Screen(10, 3)
    pyte.Stream(screen).feed("one\r\ntwo\r\nthree" + code)

    assert ([row.rstrip() for row in screen.display], screen.cursor.x, screen.cursor.y) == (rows, 0, 0)


def test_clear_screen_leaves_the_scrollback() -> None:
    """Only CLEAR_ALL clears it."""
    assert ("\x1b[3J" in color.CLEAR_SCREEN, "\x1b[3J" in color.CLEAR_ALL) == (False, True)


# --------------------------------------------------------------------------------------------------------------- arrows


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("*.py"), *ROOT.glob("hubbub/**/*.py")]),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_escape_codes_are_in_color_alone(path: Path) -> None:
    """No other module has an escape code."""
    assert path.name == "color.py" or escapes_in(path) == []


def test_color_imports_nothing_of_the_chat() -> None:
    """It imports only the standard library."""
    tree = ast.parse((ROOT / "hubbub" / "color.py").read_bytes())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    from_modules = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert plain | from_modules <= sys.stdlib_module_names | {"collections.abc"}
