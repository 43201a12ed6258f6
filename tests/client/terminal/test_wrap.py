"""How a line is wrapped: where it is broken, its hanging indent, and that every row fits."""

import re
from collections.abc import Iterable

import pyte
import pytest
from hypothesis import given, strategies as st
from wcwidth import iter_graphemes

from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.client.terminal.graphemes import text_width
from hubbub.client.terminal.wrap import NARROW_COLUMNS, SHORT_INDENT_COLUMNS, wrap
from hubbub.protocol import clean

PREFIX = (Span("12:00", "time"), Span(" "), Span("bob", "red"), Span(": "))
PREFIX_COLUMNS = 11

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1e9\U0001f1ea"
HEART = "\u2764\ufe0f"
THUMB = "\U0001f44d\U0001f3fd"
KEYCAP = "1\ufe0f\u20e3"
ACUTE = "e\u0301"
DEVANAGARI = "\u0915\u094d\u0937"
CLUSTERS = [FAMILY, FLAG, HEART, THUMB, KEYCAP, ACUTE, DEVANAGARI, "\u6f22", "\u0e01\u0e47"]

# Usual text, and characters that terminals treat differently from Unicode.
PIECES = st.sampled_from([*CLUSTERS, " ", "   ", "a", "word", "longer-word", "\u0301", "\u200b"])
STRANGE = st.sampled_from(["\u0600", "\u1112", "\u0903", "\u200d", "\ufe0f", "\U0001f1e9", "\u0e33", "\u094d"])
TEXTS = st.lists(PIECES).map("".join)
HOSTILE = (st.text() | st.lists(PIECES | STRANGE).map("".join)).map(clean)
COLUMNS = st.integers(2, 60)


@st.composite
def lines(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> StyledLine:
    """Return lines with such texts in prefix and body."""
    spans = st.lists(st.builds(Span, texts, st.sampled_from(["", "red", "time"])), max_size=3)
    prefix = [*draw(spans), Span(" ")]
    return StyledLine(tuple(draw(st.sampled_from([[], PREFIX, prefix]))), tuple(draw(spans)))


def message(text: str) -> StyledLine:
    """Return the line of a message; its prefix takes PREFIX_COLUMNS."""
    return StyledLine(PREFIX, (Span(text),))


def wrapped(line: StyledLine, columns: int) -> list[str]:
    """Return the text of each row."""
    return ["".join(span.text for span in spans) for spans in wrap(line, columns)]


def indent(line: StyledLine, columns: int) -> int:
    """Return the indent of the second row."""
    second = wrap(line, columns)[1]
    return len(second[0].text) if not second[0].text.strip(" ") else 0


def unindented(line: StyledLine, columns: int) -> list[list[Span]]:
    """Return the rows without the indent."""
    first, *others = wrap(line, columns)
    has_indent = columns >= NARROW_COLUMNS and any(text_width(span.text) for span in line.prefix)
    indented = has_indent and others and not others[0][0].text.strip(" ")
    return [first, *(spans[1:] if indented else spans for spans in others)]


def is_single(line: str) -> bool:
    """Return whether a row has only one character, which may be wider than the screen."""
    return len([cluster for cluster in iter_graphemes(line) if cluster != " "]) == 1


def characters(spans: Iterable[Span]) -> list[tuple[str, str]]:
    """Return every character but the spaces, with its style."""
    return [(char, span.style) for span in spans for char in span.text if char != " "]


def test_line_that_fits() -> None:
    """It is one row, to the last column."""
    line = message("x" * (40 - PREFIX_COLUMNS))
    assert wrap(line, 40) == [[*line.prefix, *line.body]]


@pytest.mark.parametrize("columns", [-1, 0, 80])
def test_empty_line(columns: int) -> None:
    """It is one row, whatever size the terminal reports."""
    assert wrap(StyledLine(), columns) == [[]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three four", ["12:00 bob: one two", "           three four"]),
        ("one two   three", ["12:00 bob: one two", "           three"]),
        ("one two-three", ["12:00 bob: one", "           two-three"]),
        ("one three-fours", ["12:00 bob: one", "           three-fours"]),
        ("one three-fours x", ["12:00 bob: one", "           three-fours", "           x"]),
        ("one three-four-five", ["12:00 bob: one three-f", "           our-five"]),
        ("one-two-three four", ["12:00 bob: one-two-thr", "           ee four"]),
        ("eleven-of-x   two", ["12:00 bob: eleven-of-x", "           two"]),
        ("eleven-of-x three-four-five", ["12:00 bob: eleven-of-x", "           three-four-", "           five"]),
        ("ten-of-xyz three-four-five", ["12:00 bob: ten-of-xyz", "           three-four-", "           five"]),
        ("three-four-five", ["12:00 bob: three-four-", "           five"]),
        ("    three-four-five", ["12:00 bob:     three-f", "           our-five"]),
        ("eleven-of-x        ", ["12:00 bob: eleven-of-x"]),
        ("    ab   cdefg", ["12:00 bob:     ab", "           cdefg"]),
        ("    eight-of", ["12:00 bob:", "           eight-of"]),
        ("\u6f22" * 6, ["12:00 bob: " + "\u6f22" * 5, "           \u6f22"]),
        ("a" + "\u6f22" * 6, ["12:00 bob: a" + "\u6f22" * 5, "           \u6f22"]),
        (FAMILY * 2, ["12:00 bob: " + FAMILY, "           " + FAMILY]),
        (FLAG * 3, ["12:00 bob: " + FLAG * 2, "           " + FLAG]),
        (ACUTE * 12, ["12:00 bob: " + ACUTE * 11, "           " + ACUTE]),
    ],
)
def test_where_a_line_is_broken(text: str, expected: list[str]) -> None:
    """Between words; within a word only if it fits on no row, and then between two characters."""
    assert wrapped(message(text), 2 * PREFIX_COLUMNS) == expected


def test_spaces_within_a_row_stay() -> None:
    """Leading ones too, as in code."""
    assert wrapped(message("    if x:  # why"), 80) == ["12:00 bob:     if x:  # why"]


def test_address_is_not_broken() -> None:
    """It has a row of its own if it fits, even if the row of a long prefix is then without text."""
    address = "https://example.org/a/long/path"
    prefix = (Span("12:00 [somebody -> somebody-else] ", "notice"),)
    assert wrapped(StyledLine(prefix, (Span(f"{address} see"),)), 40) == [
        "12:00 [somebody -> somebody-else]",
        f"  {address} see",
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (2 * PREFIX_COLUMNS, PREFIX_COLUMNS),
        (2 * PREFIX_COLUMNS - 1, SHORT_INDENT_COLUMNS),
        (NARROW_COLUMNS, SHORT_INDENT_COLUMNS),
        (NARROW_COLUMNS - 1, 0),
    ],
)
def test_hanging_indent(columns: int, expected: int) -> None:
    """The body is indented to its first character, unless the prefix is too long for that."""
    assert indent(message("word " * 20), columns) == expected


def test_prefix_wider_than_the_screen() -> None:
    """It is broken like text."""
    prefix = (Span("12:00", "time"), Span(" "), Span("somebody-with-a-name", "red"), Span(": "))
    assert wrapped(StyledLine(prefix, (Span("hi"),)), 16) == ["12:00 somebody-w", "  ith-a-name: hi"]


@pytest.mark.parametrize("columns", [-1, 0, 1])
def test_screen_of_one_column(columns: int) -> None:
    """A wider character has a row of its own."""
    assert wrapped(StyledLine((), (Span(f"a{FAMILY}b"),)), columns) == ["a", FAMILY, "b"]


def test_oversized_cluster_is_broken() -> None:
    """Unicode joins any number of some letters; no terminal does."""
    assert wrapped(StyledLine((), (Span("\u1112" * 5),)), 4) == ["\u1112\u1112", "\u1112\u1112", "\u1112"]


@pytest.mark.parametrize("character", CLUSTERS)
def test_message_never_continues_at_the_left_edge(character: str) -> None:
    """Only lines of the client begin there, also on a terminal that joins nothing."""
    for count in range(40):
        screen = pyte.Screen(40, 20)
        stream = pyte.Stream(screen)
        for line in wrapped(message(character * count + "--- bob was banned"), 40):
            stream.feed(line + "\r\n")
        first, *others = [row for row in screen.display if row.strip()]
        assert first.startswith("12:00 bob: ")
        assert not [row for row in others if not row.startswith(" " * PREFIX_COLUMNS)]


def test_chain_of_joined_emoji_is_broken() -> None:
    """No terminal draws any number of them as one."""
    chain = "\u200d".join(["\U0001f468"] * 100)
    assert max(map(text_width, wrapped(message(chain), 40))) <= 40


def test_styles_continue_in_the_next_row() -> None:
    """A broken span has its style in both rows."""
    line = StyledLine((Span("--- ", "notice"),), (Span("abcdef", "red"), Span("ghijkl", "blue")))
    assert wrap(line, 10) == [
        [Span("--- ", "notice"), Span("abcdef", "red")],
        [Span("    "), Span("ghijkl", "blue")],
    ]


@given(lines(HOSTILE), COLUMNS)
def test_every_row_fits(line: StyledLine, columns: int) -> None:
    """Whatever a message contains."""
    assert [line for line in wrapped(line, columns) if text_width(line) > columns and not is_single(line)] == []


@given(lines(HOSTILE), st.integers(-1, 60))
def test_nothing_is_lost(line: StyledLine, columns: int) -> None:
    """The rows together are the text, except for spaces at the breaks."""
    lines = ["".join(span.text for span in spans) for spans in unindented(line, columns)]
    assert re.fullmatch(" *".join([*map(re.escape, lines), ""]), line.text)


@given(lines(HOSTILE), st.integers(-1, 60))
def test_styles_are_unchanged(line: StyledLine, columns: int) -> None:
    """Every character has the style that it had."""
    spans = [span for line in unindented(line, columns) for span in line]
    assert characters(spans) == characters([*line.prefix, *line.body])


@given(lines(TEXTS), st.integers(-1, 60))
def test_no_grapheme_is_split(line: StyledLine, columns: int) -> None:
    """A family emoji, a flag, a letter with its accent is in one row as a whole."""
    lines = ["".join(span.text for span in spans) for spans in unindented(line, columns)]
    clusters = [cluster for line in lines for cluster in iter_graphemes(line) if cluster != " "]
    assert clusters == [cluster for cluster in iter_graphemes(line.text) if cluster != " "]


@given(st.text(st.sampled_from("ab ")), st.integers(NARROW_COLUMNS, 40))
def test_no_word_is_broken_that_fits_on_a_row(text: str, columns: int) -> None:
    """If there are spaces around it."""
    prefix = (Span("--- "),)
    room = columns - len(prefix[0].text)
    words = [
        word
        for line in unindented(StyledLine(prefix, (Span(text),)), columns)
        for span in line
        for word in span.text.split()
    ]
    assert [word for word in text.split() if len(word) <= room and word not in words] == []
