"""color.py: every shade can be read, text is always reset, and what a terminal answers is taken out of the keys."""

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
from hypothesis import given
from hypothesis import strategies as st

from hubbub import color, protocol
from hubbub.color import RGB, Depth, Palette

ROOT = Path(color.__file__).parents[1]
ESCAPE_CODE = re.compile(r"\x1b\[[0-9;]*m")
# Of the shades for an unknown background. WCAG 2.1 asks 3:1 of large text. No cyan of the palette has it on white; the
# nearest has 2.71:1.
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
ANSWERS = ["\x1b]11;rgb:0000/2b2b/3636\x07", "\x1b]11;rgb:ff/ff/ff\x1b\\", "\x1b[?64;1;2c", "\x1b[?6c"]


class Stream(io.StringIO):
    """A stream that is a terminal, or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Say what it was told to be; raise ValueError when closed."""
        super().isatty()
        return self._terminal


def linear(rgb: RGB) -> list[float]:
    """Return the light that each part of an sRGB colour stands for."""
    levels = [value / 255 for value in rgb]
    return [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]


def luminance(rgb: RGB) -> float:
    """Return the relative luminance as WCAG 2.1 defines it."""
    red, green, blue = linear(rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def lab(rgb: RGB) -> tuple[float, float, float]:
    """Return L*, a* and b* of CIE 1976 (white D65): another measure than the one that chooses the shades."""
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
    """Return the colour that a terminal makes of `parameters`: true colour, a palette code, or one of the 16."""
    numbers = [int(number) for number in parameters.removeprefix("1;").split(";")]
    if numbers[:2] == [38, 2]:
        return numbers[2], numbers[3], numbers[4]
    if numbers[:2] == [38, 5]:
        return color.code_to_rgb(numbers[2])
    (code,) = numbers
    red, green, blue = bytes.fromhex(XTERM_16[code - 30 if code < 90 else code - 82])
    return red, green, blue


def shown_colors(background: RGB, depth: Depth) -> dict[str, RGB]:
    """Return what each of the twelve names looks like."""
    palette = Palette(background, depth)
    return {name: shown(palette.sgr(name)) for name in color.COLORS}


def least_difference(background: RGB, depth: Depth) -> float:
    """Return how different the two of the twelve that are most alike look."""
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
    """Return every string of a Python file that holds an ESC."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Constant))
    texts = (value.decode("latin-1") if isinstance(value, bytes) else value for value in constants)
    return [text for text in texts if isinstance(text, str) and "\x1b" in text]


# ---------------------------------------------------------------------------------------------------------------- table


def test_names_and_order_are_those_of_the_protocol() -> None:
    """Only colour names cross the wire, so both tables name the same twelve."""
    assert tuple(color.COLORS) == protocol.COLORS


@pytest.mark.parametrize("name", color.COLORS)
@pytest.mark.parametrize("paper", [(0, 0, 0), (255, 255, 255)], ids=["on black", "on white"])
def test_every_colour_can_be_read_where_the_background_is_not_known(name: str, paper: RGB) -> None:
    """A name can be read on a black and on a white terminal that does not say which of the two it is."""
    listed = color.COLORS[name]
    behind = paper if listed.background is None else color.code_to_rgb(listed.background)

    assert contrast(listed.rgb, behind) >= CONTRAST_UNKNOWN


def test_black_and_white_bring_their_background() -> None:
    """Only the two colours that vanish on a terminal of their own colour have something behind them."""
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
    """The first 16 codes belong to the terminal's theme, and there are none after 255."""
    with pytest.raises(ValueError, match=f"palette code {code} "):
        color.code_to_rgb(code)


# --------------------------------------------------------------------------------------------------------------- shades


@pytest.mark.parametrize("depth", Depth)
@given(background=backgrounds)
def test_everything_can_be_read_on_any_background(depth: Depth, background: RGB) -> None:
    """Each colour and each style has a contrast of 4.5 or more, whatever the terminal's background."""
    palette = Palette(background, depth)

    weak = {style for style in PAINTED if contrast(shown(palette.sgr(style)), background) < 4.5}

    assert weak == set()


@pytest.mark.parametrize(("depth", "least"), [(Depth.TRUE_COLOR, 25), (Depth.CODES_256, 19)])
@pytest.mark.parametrize("background", BACKGROUNDS.values(), ids=BACKGROUNDS)
def test_twelve_colours_are_told_apart_on_usual_backgrounds(background: RGB, depth: Depth, least: float) -> None:
    """No two of the twelve look alike: people see a difference of 2.3, and these differ many times as much."""
    assert least_difference(background, depth) >= least


def test_twelve_colours_stay_different_on_a_middle_grey() -> None:
    """Only near-blacks can be read there, and yet no two are the same."""
    assert len(set(shown_colors(GREY, Depth.TRUE_COLOR).values())) == len(color.COLORS)


@pytest.mark.parametrize("depth", Depth)
def test_black_and_white_differ_clearly_on_black(depth: Depth) -> None:
    """Black is a grey there, far from white."""
    both = shown_colors((0, 0, 0), depth)

    assert difference(both["black"], both["white"]) >= 40


@pytest.mark.parametrize("name", ["black", "white"])
@pytest.mark.parametrize("depth", FINE)
@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255)], ids=["on black", "on white"])
def test_black_and_white_are_not_taken_for_dim_text(background: RGB, depth: Depth, name: str) -> None:
    """Who is called by one of the two is told from the grey of times and arrivals."""
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
    """Times and arrivals are grey, or black or white where there is no grey, but never as red as an error."""
    assert len(set(shown(Palette(background, depth).sgr("time")))) == 1


def test_colour_that_can_be_read_is_its_ideal() -> None:
    """Where the background allows it, nothing is changed."""
    assert shown_colors((0, 0, 0), Depth.TRUE_COLOR)["yellow"] == color.COLORS["yellow"].ideal


def test_no_shade_brings_a_background() -> None:
    """Where the background is known, no name stands in a block of another colour."""
    parameters = [Palette(paper, Depth.CODES_256).sgr(name) for paper in BACKGROUNDS.values() for name in PAINTED]

    assert [text for text in parameters if "48;5" in text] == []


# -------------------------------------------------------------------------------------------------------------- palette


@pytest.mark.parametrize(
    ("depth", "start"), [(Depth.TRUE_COLOR, "38;2;"), (Depth.CODES_256, "38;5;"), (Depth.CODES_16, "9")]
)
def test_depth_decides_how_a_colour_is_named(depth: Depth, start: str) -> None:
    """A terminal is told a colour in the way that it knows."""
    assert Palette((0, 0, 0), depth).sgr("white").startswith(start)


@pytest.mark.parametrize("name", color.COLORS)
@pytest.mark.parametrize("depth", FINE)
def test_unknown_background_gets_the_codes_of_the_table(name: str, depth: Depth) -> None:
    """A terminal that does not tell its background gets what can be read on black and on white."""
    listed = color.COLORS[name]
    behind = "" if listed.background is None else f";48;5;{listed.background}"

    assert Palette(None, depth).sgr(name) == f"38;5;{listed.code}{behind}"


@pytest.mark.parametrize("style", [*color.COLORS, *color.STYLES])
def test_simple_terminal_is_told_none_but_the_16_standard_colours(style: str) -> None:
    """Whatever its background, 30 to 37 and 90 to 97 are letters, 10 more is behind them, 1 and 7 are attributes."""
    known = {1, 7, *range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)}

    told = [Palette(paper, Depth.CODES_16).sgr(style) for paper in (None, *BACKGROUNDS.values())]

    assert {int(number) for parameters in told for number in parameters.split(";")} <= known


@pytest.mark.parametrize("background", [None, (0, 0, 0)], ids=["unknown", "black"])
@pytest.mark.parametrize("style", [*color.COLORS, *color.STYLES])
def test_paint_wraps_and_resets(style: str, background: RGB | None) -> None:
    """Painted text starts with one code, holds the text as it was and ends with a reset."""
    palette = Palette(background, Depth.CODES_256)

    assert palette.paint(style, "alice") == f"\x1b[{palette.sgr(style)}malice\x1b[0m"


def test_empty_text_is_reset_too() -> None:
    """Whatever the text, the colour does not run on."""
    assert Palette(None, Depth.CODES_256).paint("red", "").endswith("\x1b[0m")


@pytest.mark.parametrize("palette", [Palette(None, Depth.CODES_256), Palette((0, 0, 0), Depth.TRUE_COLOR), UNCOLORED])
def test_empty_style_leaves_the_text(palette: Palette) -> None:
    """What has no style is not touched."""
    assert palette.paint("", "alice") == "alice"


@pytest.mark.parametrize("style", [*color.COLORS, *color.STYLES])
def test_palette_of_none_paints_nothing(style: str) -> None:
    """Who wants no colour gets the text and no code."""
    assert (UNCOLORED.paint(style, "alice"), UNCOLORED.sgr(style)) == ("alice", "")


@pytest.mark.parametrize("palette", [Palette(None, Depth.CODES_256), Palette((0, 0, 0), Depth.TRUE_COLOR), UNCOLORED])
@pytest.mark.parametrize("style", ["mauve", "dim", "Red"])
def test_unknown_style_is_refused_naming_the_known(palette: Palette, style: str) -> None:
    """Whoever asks for a style that is not there reads at once which ones are, with and without colour."""
    with pytest.raises(
        ValueError, match=rf"no style '{style}'; choose one of black, white, .*purple, presence, .*hint$"
    ):
        palette.paint(style, "alice")


def test_error_and_mention_are_bold() -> None:
    """What a person must not miss stands out by more than its colour."""
    palette = Palette((0, 0, 0), Depth.TRUE_COLOR)

    assert [style for style in color.STYLES if palette.sgr(style).startswith("1;")] == ["error", "mention"]


def test_choice_is_in_reverse_video() -> None:
    """The chosen completion can be seen on every terminal, for it is made of the terminal's own two colours."""
    assert {Palette(paper, depth).sgr("selected") for paper in (None, GREY) for depth in Depth} == {"7"}


def test_palettes_of_the_same_terminal_are_equal() -> None:
    """Whether something has changed can be asked."""
    assert Palette((0, 0, 0), Depth.CODES_16) == Palette((0, 0, 0), Depth.CODES_16) != Palette(GREY, Depth.CODES_16)


# ---------------------------------------------------------------------------------------------------------------- chart


def test_chart_numbers_the_names_from_1_to_12() -> None:
    """The chart shows the twelve in the order of the table, as people write them."""
    cells = re.findall(r"(\d+) ([a-z]+(?: [a-z]+)?)", painted_chart(UNCOLORED))

    assert cells == [(str(number), color.display_name(name)) for number, name in enumerate(color.COLORS, start=1)]


def test_chart_shows_each_name_in_its_own_colour() -> None:
    """The pieces with a style are the twelve names."""
    styled = [(text, style) for row in color.chart_rows() for text, style in row if style]

    assert styled == [(color.display_name(name), name) for name in color.COLORS]


def test_chart_has_four_colours_in_a_row_that_stand_below_each_other() -> None:
    """Every row fits 80 columns, ends with a name, and its numbers stand in the same columns."""
    rows = ["".join(text for text, _ in row) for row in color.chart_rows()]

    assert max(map(len, rows)) <= 80
    assert [row for row in rows if row != row.rstrip()] == []
    assert {tuple(match.end() for match in re.finditer(r"\d+", row)) for row in rows} == {(2, 17, 32, 47)}


def test_light_blue_is_written_with_a_space() -> None:
    """People read `light blue`, the wire has `light-blue`."""
    assert color.display_name("light-blue") == "light blue"


@pytest.mark.parametrize(("variable", "colored"), [("NO_COLOR", False), ("FORCE_COLOR", True)])
def test_running_the_file_shows_the_chart(
    variable: str, colored: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python3 color.py` shows the chart, in colour where colour is wanted."""
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
    """NO_COLOR comes first, then FORCE_COLOR, then a dumb terminal, then whether it is a terminal at all."""
    assert color.wants_color(Stream(terminal=terminal), environ) is wanted


def test_closed_stream_wants_no_colour() -> None:
    """Asking a closed stream is no error."""
    stream = Stream(terminal=True)
    stream.close()

    assert color.wants_color(stream, {}) is False


@pytest.mark.parametrize(("terminal", "depth"), [(True, Depth.CODES_256), (False, None)])
def test_stream_has_its_palette(terminal: bool, depth: Depth | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many colours as the environment tells of, and none where they are not wanted; the background is not known."""
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
def test_environment_tells_the_depth(environ: Mapping[str, str], depth: Depth) -> None:
    """COLORTERM comes first, then TERM; who says nothing has the 16 that every terminal has."""
    assert color.detect_depth(environ) is depth


# -------------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("told", "background"),
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
def test_background_is_read_from_the_answer(told: str, background: RGB, end: str) -> None:
    """Every form in which terminals tell a colour is understood."""
    assert color.parse_background(f"\x1b]11;{told}{end}") == background


@pytest.mark.parametrize(
    "answer",
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
def test_what_tells_no_background_is_none(answer: str) -> None:
    """An answer to another question, a broken one and one without an end tell nothing."""
    assert color.parse_background(answer) is None


@given(answer=st.one_of(st.text(), st.text("\x1b]1;rgba:#0f/\x07\\").map("\x1b]11;".__add__)))
def test_no_answer_is_an_error(answer: str) -> None:
    """Whatever a terminal says, nothing is raised."""
    background = color.parse_background(answer)

    assert background is None or all(0 <= part <= 255 for part in background)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 99))), st.lists(st.integers(1, 9)))
def test_answers_are_taken_out_of_the_keys_however_they_are_cut(picks: list[tuple[bool, int]], cuts: list[int]) -> None:
    """Keys come out as they were typed, and answers whole, wherever one read ends and the next begins."""
    pieces = [(typed, (KEYS if typed else ANSWERS)[pick % len(KEYS if typed else ANSWERS)]) for typed, pick in picks]
    rest = "".join(text for _, text in pieces)
    keys, unfinished = "", ""
    answers: list[str] = []

    for cut in [*cuts, len(rest)]:
        found, more, unfinished = color.split_responses(unfinished + rest[:cut])
        rest, keys, answers = rest[cut:], keys + found, answers + more

    assert keys + unfinished == "".join(text for typed, text in pieces if typed)
    assert answers == [text for typed, text in pieces if not typed]


@pytest.mark.parametrize("answer", ANSWERS)
def test_start_of_an_answer_waits_for_its_end(answer: str) -> None:
    """Any part of an answer is unfinished, and no key of it is handed out."""
    starts = [answer[:length] for length in range(1, len(answer))]

    assert [color.split_responses(f"a{start}") for start in starts] == [("a", [], start) for start in starts]


@pytest.mark.parametrize("keys", [key for key in KEYS if key != "\x1b"])
def test_no_key_but_escape_waits(keys: str) -> None:
    """What cannot become an answer any more is handed out at once: an arrow, a function key, Alt and a letter."""
    assert color.split_responses(keys) == (keys, [], "")


def test_escape_is_handed_out_with_the_next_key() -> None:
    """The Escape key alone could begin an answer; what follows shows that it does not."""
    assert color.split_responses("\x1b") == ("", [], "\x1b")
    assert color.split_responses("\x1bx") == ("\x1bx", [], "")


def test_answer_without_an_end_does_not_swallow_the_keys() -> None:
    """What never ends is no answer: after 64 characters it is handed out."""
    endless = "\x1b]11;" + "x" * 65

    assert color.split_responses(endless) == (endless, [], "")


# ---------------------------------------------------------------------------------------------------------- other codes


def test_terminal_is_asked_for_its_background_and_then_what_it_is() -> None:
    """The second question is one that every terminal answers."""
    assert color.QUERY_BACKGROUND == "\x1b]11;?\x07\x1b[c"


def test_title_is_what_was_asked() -> None:
    """The title stands between the code for it and its end."""
    assert color.title_sequence("lobby (3) 日") == "\x1b]2;lobby (3) 日\x07"


def test_title_holds_no_control_character() -> None:
    """A text cannot end the title and begin a code of its own, nor turn the direction of what follows."""
    assert color.title_sequence("a\x07\x1b[2Jb\x9c\n\u202ec") == "\x1b]2;a[2Jbc\x07"


@pytest.mark.parametrize(("code", "rows"), [(color.CLEAR_SCREEN, ["", "", ""]), (color.CLEAR_ALL, ["", "", ""])])
def test_clear_leaves_an_empty_screen(code: str, rows: list[str]) -> None:
    """Nothing is left, and the cursor is in the first cell."""
    screen = pyte.Screen(10, 3)
    pyte.Stream(screen).feed("one\r\ntwo\r\nthree" + code)

    assert ([row.rstrip() for row in screen.display], screen.cursor.x, screen.cursor.y) == (rows, 0, 0)


def test_clear_keeps_what_is_scrolled_away() -> None:
    """Only CLEAR_ALL takes the lines above the screen."""
    assert ("\x1b[3J" in color.CLEAR_SCREEN, "\x1b[3J" in color.CLEAR_ALL) == (False, True)


# --------------------------------------------------------------------------------------------------------------- arrows


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("*.py"), *ROOT.glob("hubbub/**/*.py")]),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_escape_codes_are_in_color_alone(path: Path) -> None:
    """No other module of the program writes an escape code."""
    assert path.name == "color.py" or escapes_in(path) == []


def test_color_imports_nothing_of_the_chat() -> None:
    """color.py stands alone: it imports neither the protocol nor anything that is not in the standard library."""
    tree = ast.parse((ROOT / "hubbub" / "color.py").read_bytes())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    from_modules = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert plain | from_modules <= sys.stdlib_module_names | {"collections.abc"}
