"""color.py: the table can be read, text is always reset, and one function decides who wants colour."""

import ast
import io
import itertools
import re
import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest

import color
import protocol

ROOT = Path(color.__file__).parent
ESCAPE_CODE = re.compile(r"\x1b\[[0-9;]*m")
# WCAG 2.1 asks 3:1 of large text. No cyan of the palette has it on white; the nearest has 2.71:1.
CONTRAST = 2.7


class Stream(io.StringIO):
    """A stream that is a terminal, or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Say what it was told to be; raise ValueError when closed."""
        super().isatty()
        return self._terminal


def luminance(rgb: tuple[int, int, int]) -> float:
    """Return the relative luminance as WCAG 2.1 defines it."""
    levels = [value / 255 for value in rgb]
    red, green, blue = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """Return the contrast ratio as WCAG 2.1 defines it, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


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
def test_every_colour_can_be_read(name: str, paper: tuple[int, int, int]) -> None:
    """A name can be read on a black and on a white terminal."""
    shown = color.COLORS[name]
    behind = paper if shown.background is None else color.rgb(shown.background)

    assert contrast(shown.rgb, behind) >= CONTRAST


def test_black_and_white_bring_their_background() -> None:
    """Only the two colours that vanish on a terminal of their own colour have something behind them."""
    assert [name for name, shown in color.COLORS.items() if shown.background is not None] == ["black", "white"]


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
    assert color.rgb(code) == expected


@pytest.mark.parametrize("code", [-1, 0, 15, 256])
def test_code_without_a_fixed_colour_is_refused(code: int) -> None:
    """The first 16 codes belong to the terminal's theme, and there are none after 255."""
    with pytest.raises(ValueError, match=f"palette code {code} "):
        color.rgb(code)


# ---------------------------------------------------------------------------------------------------------------- paint


@pytest.mark.parametrize("name", color.COLORS)
def test_paint_wraps_and_resets(name: str) -> None:
    """Painted text starts with its colour, holds the text as it was and ends with a reset."""
    assert color.paint(name, "alice") == f"\x1b[{color.COLORS[name].parameters}malice\x1b[0m"


def test_black_is_painted_with_its_background() -> None:
    """The background is in the same code as the colour."""
    assert color.paint("black", "x").startswith("\x1b[38;5;16;48;5;250m")


def test_empty_text_is_reset_too() -> None:
    """Whatever the text, the colour does not run on."""
    assert color.paint("red", "").endswith("\x1b[0m")


def test_unknown_colour_is_refused_naming_the_known() -> None:
    """Whoever asks for a colour that is not there reads which ones are."""
    with pytest.raises(ValueError, match=r"no colour 'mauve'; choose one of black, white, .*light-blue, blue, purple$"):
        color.paint("mauve", "alice")


@pytest.mark.parametrize("kind", color.STYLES)
def test_style_wraps_and_resets(kind: str) -> None:
    """Styled text starts with one code, holds the text as it was and ends with a reset."""
    assert color.style(kind, "bob came") == f"\x1b[{color.STYLES[kind]}mbob came\x1b[0m"


def test_unknown_style_is_refused_naming_the_known() -> None:
    """A style that is not in the table is a mistake, told at once."""
    with pytest.raises(ValueError, match="no style 'loud'; choose one of presence, time, notice, error"):
        color.style("loud", "x")


# ---------------------------------------------------------------------------------------------------------------- chart


def test_chart_numbers_the_names_from_1_to_12() -> None:
    """The chart shows the twelve in the order of the table, as people write them."""
    cells = re.findall(r"(\d+) ([a-z]+(?: [a-z]+)?)", color.chart(colored=False))

    assert cells == [(str(number), color.label(name)) for number, name in enumerate(color.COLORS, start=1)]


def test_chart_paints_each_name_in_its_own_colour() -> None:
    """Each name of the chart stands as paint() makes it."""
    chart = color.chart()

    assert [name for name in color.COLORS if color.paint(name, color.label(name)) not in chart] == []


def test_plain_chart_is_the_coloured_one_without_codes() -> None:
    """Colour changes no letter and no column."""
    assert ESCAPE_CODE.sub("", color.chart()) == color.chart(colored=False)


def test_chart_fits_a_terminal_of_80_columns() -> None:
    """No row of the chart is broken by the terminal."""
    assert max(map(len, color.chart(colored=False).splitlines())) <= 80


def test_light_blue_is_written_with_a_space() -> None:
    """People read `light blue`, the wire has `light-blue`."""
    assert color.label("light-blue") == "light blue"


@pytest.mark.parametrize(("variable", "colored"), [("NO_COLOR", False), ("FORCE_COLOR", True)])
def test_running_the_file_shows_the_chart(
    variable: str, colored: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python3 color.py` shows the chart, in colour where colour is wanted."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, "1")

    runpy.run_path(str(ROOT / "color.py"), run_name="__main__")

    assert capsys.readouterr().out == color.chart(colored=colored) + "\n"


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


# --------------------------------------------------------------------------------------------------------------- arrows


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("*.py"), *ROOT.glob("server/*.py"), *ROOT.glob("client/*.py")]),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_escape_codes_are_in_color_alone(path: Path) -> None:
    """No other module of the program writes an escape code."""
    assert path.name == "color.py" or escapes_in(path) == []


def test_color_imports_nothing_of_the_chat() -> None:
    """color.py stands alone: it imports neither the protocol nor anything that is not in the standard library."""
    tree = ast.parse((ROOT / "color.py").read_bytes())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    from_modules = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert plain | from_modules == {"os", "sys", "collections.abc", "dataclasses", "typing"}
