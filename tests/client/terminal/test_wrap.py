"""How a line is cut to the width of a screen: where, how far it hangs, and that every row fits."""

import re
from collections.abc import Iterable

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
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

# What people send; and what a terminal may take for something else than Unicode does.
PIECES = st.sampled_from([*CLUSTERS, " ", "   ", "a", "word", "longer-word", "\u0301", "\u200b"])
STRANGE = st.sampled_from(["\u0600", "\u1112", "\u0903", "\u200d", "\ufe0f", "\U0001f1e9", "\u0e33", "\u094d"])
TEXTS = st.lists(PIECES).map("".join)
HOSTILE = (st.text() | st.lists(PIECES | STRANGE).map("".join)).map(clean)
COLUMNS = st.integers(2, 60)


@st.composite
def rows(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> StyledLine:
    """Return rows with such texts in prefix and body."""
    spans = st.lists(st.builds(Span, texts, st.sampled_from(["", "red", "time"])), max_size=3)
    prefix = [*draw(spans), Span(" ")]
    return StyledLine(tuple(draw(st.sampled_from([[], PREFIX, prefix]))), tuple(draw(spans)))


def said(text: str) -> StyledLine:
    """Return the row of a message; its prefix takes PREFIX_COLUMNS."""
    return StyledLine(PREFIX, (Span(text),))


def shown(row: StyledLine, columns: int) -> list[str]:
    """Return what the rows of a screen say."""
    return ["".join(span.text for span in spans) for spans in wrap(row, columns)]


def hanging(row: StyledLine, columns: int) -> int:
    """Return how far the second row of the screen is indented."""
    second = wrap(row, columns)[1]
    return len(second[0].text) if not second[0].text.strip(" ") else 0


def pieces(row: StyledLine, columns: int) -> list[list[Span]]:
    """Return the rows of a screen without what makes them hang."""
    first, *others = wrap(row, columns)
    hangs = columns >= NARROW_COLUMNS and any(text_width(span.text) for span in row.prefix)
    indented = hangs and others and not others[0][0].text.strip(" ")
    return [first, *(spans[1:] if indented else spans for spans in others)]


def is_one(line: str) -> bool:
    """Return whether there is but one character in a line, which may be wider than the screen."""
    return len([cluster for cluster in iter_graphemes(line) if cluster != " "]) == 1


def characters(spans: Iterable[Span]) -> list[tuple[str, str]]:
    """Return every character but the spaces, with its style."""
    return [(char, span.style) for span in spans for char in span.text if char != " "]


def test_line_that_fits_is_as_it_was() -> None:
    """To the last column."""
    row = said("x" * (40 - PREFIX_COLUMNS))
    assert wrap(row, 40) == [[*row.prefix, *row.body]]


@pytest.mark.parametrize("columns", [-1, 0, 80])
def test_empty_line(columns: int) -> None:
    """It takes a row as well, whatever the terminal says of its size."""
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
def test_where_a_line_is_cut(text: str, expected: list[str]) -> None:
    """Between words; within one only if no row has room for it, and then between two characters."""
    assert shown(said(text), 2 * PREFIX_COLUMNS) == expected


def test_code_keeps_its_spaces() -> None:
    """Those before it and those within."""
    assert shown(said("    if x:  # why"), 80) == ["12:00 bob:     if x:  # why"]


def test_address_is_not_cut() -> None:
    """Where it fits on a row of its own it has one, even if that leaves the row of a long prefix without text."""
    address = "https://example.org/a/long/path"
    prefix = (Span("12:00 [somebody -> somebody-else] ", "notice"),)
    assert shown(StyledLine(prefix, (Span(f"{address} see"),)), 40) == [
        "12:00 [somebody -> somebody-else]",
        f"  {address} see",
    ]


@pytest.mark.parametrize(
    ("columns", "hang"),
    [
        (2 * PREFIX_COLUMNS, PREFIX_COLUMNS),
        (2 * PREFIX_COLUMNS - 1, SHORT_INDENT_COLUMNS),
        (NARROW_COLUMNS, SHORT_INDENT_COLUMNS),
        (NARROW_COLUMNS - 1, 0),
    ],
)
def test_how_far_a_line_hangs(columns: int, hang: int) -> None:
    """Below its own first character, unless the prefix leaves it too little room for that."""
    assert hanging(said("word " * 20), columns) == hang


def test_lead_wider_than_the_screen() -> None:
    """It is cut like text."""
    prefix = (Span("12:00", "time"), Span(" "), Span("somebody-with-a-name", "red"), Span(": "))
    assert shown(StyledLine(prefix, (Span("hi"),)), 16) == ["12:00 somebody-w", "  ith-a-name: hi"]


@pytest.mark.parametrize("columns", [-1, 0, 1])
def test_screen_of_one_column(columns: int) -> None:
    """What is wider than the whole screen has a row of its own."""
    assert shown(StyledLine((), (Span(f"a{FAMILY}b"),)), columns) == ["a", FAMILY, "b"]


def test_cluster_wider_than_any_character() -> None:
    """Unicode joins any number of some letters; no terminal does, and so they are cut."""
    assert shown(StyledLine((), (Span("\u1112" * 5),)), 4) == ["\u1112\u1112", "\u1112\u1112", "\u1112"]


@pytest.mark.parametrize("character", CLUSTERS)
def test_what_is_said_begins_no_row_of_its_own(character: str) -> None:
    """On a terminal that joins nothing, too: only a line of the chat begins at the edge."""
    for count in range(40):
        screen = pyte.Screen(40, 20)
        stream = pyte.Stream(screen)
        for line in shown(said(character * count + "--- bob was banned"), 40):
            stream.feed(line + "\r\n")
        first, *others = [row for row in screen.display if row.strip()]
        assert first.startswith("12:00 bob: ")
        assert not [row for row in others if not row.startswith(" " * PREFIX_COLUMNS)]


def test_a_chain_is_cut() -> None:
    """Joiners join any number of pictures, and no terminal draws them as one."""
    chain = "\u200d".join(["\U0001f468"] * 100)
    assert max(map(text_width, shown(said(chain), 40))) <= 40


def test_styles_go_on_behind_a_cut() -> None:
    """A piece that is cut keeps its style in both rows."""
    row = StyledLine((Span("--- ", "notice"),), (Span("abcdef", "red"), Span("ghijkl", "blue")))
    assert wrap(row, 10) == [
        [Span("--- ", "notice"), Span("abcdef", "red")],
        [Span("    "), Span("ghijkl", "blue")],
    ]


@given(rows(HOSTILE), COLUMNS)
def test_every_row_fits(row: StyledLine, columns: int) -> None:
    """Whatever somebody sends."""
    assert [line for line in shown(row, columns) if text_width(line) > columns and not is_one(line)] == []


@given(rows(HOSTILE), st.integers(-1, 60))
def test_nothing_is_lost(row: StyledLine, columns: int) -> None:
    """The rows, one after another, are the text, but for spaces where it was cut."""
    lines = ["".join(span.text for span in spans) for spans in pieces(row, columns)]
    assert re.fullmatch(" *".join([*map(re.escape, lines), ""]), row.text)


@given(rows(HOSTILE), st.integers(-1, 60))
def test_styles_are_kept(row: StyledLine, columns: int) -> None:
    """Every character has the style that it had."""
    spans = [span for line in pieces(row, columns) for span in line]
    assert characters(spans) == characters([*row.prefix, *row.body])


@given(rows(TEXTS), st.integers(-1, 60))
def test_no_character_is_split(row: StyledLine, columns: int) -> None:
    """A family, a flag, a letter with its accent: each is in one row as a whole."""
    lines = ["".join(span.text for span in spans) for spans in pieces(row, columns)]
    clusters = [cluster for line in lines for cluster in iter_graphemes(line) if cluster != " "]
    assert clusters == [cluster for cluster in iter_graphemes(row.text) if cluster != " "]


@given(st.text(st.sampled_from("ab ")), st.integers(NARROW_COLUMNS, 40))
def test_no_word_is_cut_that_fits_on_a_row(text: str, columns: int) -> None:
    """As long as there are spaces around it."""
    prefix = (Span("--- "),)
    room = columns - len(prefix[0].text)
    words = [
        word
        for line in pieces(StyledLine(prefix, (Span(text),)), columns)
        for span in line
        for word in span.text.split()
    ]
    assert [word for word in text.split() if len(word) <= room and word not in words] == []
