"""The width of text, and its split into grapheme clusters."""

import sys

import pytest
from wcwidth import iter_graphemes, wcwidth

from hubbub.client.terminal.graphemes import _SINGLE_COLUMN, split_graphemes, text_width

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1e9\U0001f1ea"
HEART = "\u2764\ufe0f"
THUMB = "\U0001f44d\U0001f3fd"
ACUTE = "e\u0301"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("hello", 5),
        ("h\u00e9llo", 5),
        (ACUTE, 1),
        ("\u6f22\u5b57", 4),
        (FAMILY, 6),
        (FLAG, 4),
        (HEART, 2),
        (THUMB, 4),
        ("\u200b", 0),
        ("\u0903", 1),  # a mark without a letter stands on the space before it, and makes that wider
        ("\x1b", 0),
    ],
)
def test_text_width(text: str, columns: int) -> None:
    """The width on the terminal where the text is widest: many draw each code point by itself."""
    assert text_width(text) == columns


def test_characters_of_one_column() -> None:
    """Text that is measured without a search for clusters has one column a character, and none of them join."""
    characters = [char for char in map(chr, range(sys.maxunicode + 1)) if _SINGLE_COLUMN.fullmatch(char)]
    assert [char for char in characters if wcwidth(char) != 1] == []
    assert list(iter_graphemes("".join(characters))) == characters


@pytest.mark.parametrize("grapheme", [FAMILY, FLAG, HEART, THUMB, ACUTE])
def test_clusters_are_not_split(grapheme: str) -> None:
    """Also between letters."""
    assert split_graphemes(f"a{grapheme}b") == ["a", grapheme, "b"]


def test_oversized_cluster_is_split() -> None:
    """Unicode joins any number of some letters; no terminal does."""
    assert split_graphemes("\u1112" * 3) == ["\u1112"] * 3
