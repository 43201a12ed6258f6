"""Grapheme clusters (user-perceived characters, Unicode UAX #29) and their width in terminal columns.

Widths are those of wcwidth. Any thread may call these functions.
"""

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from wcwidth import iter_graphemes, wcswidth, wcwidth

GRAPHEME_COLUMNS = 2  # the widest grapheme cluster that a terminal draws as one
MAX_UNJOINED_COLUMNS = 12  # of its code points side by side: Unicode's widest emoji is a couple with two skin tones

# Characters of one column that never join with a neighbour: Latin, Greek, Cyrillic, quotes.
_SINGLE_COLUMN = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027]*")


class MeasuredText(NamedTuple):
    """A text in grapheme clusters. The sequences after the first have one more element, for the end of the text."""

    graphemes: Sequence[str]
    starts: Sequence[int]  # index of each cluster's first character
    columns: Sequence[int]  # width of the text before each cluster


def measure(text: str) -> MeasuredText:
    """Return the grapheme clusters of `text` with their positions and widths."""
    if _SINGLE_COLUMN.fullmatch(text):
        places = range(len(text) + 1)
        return MeasuredText(text, places, places)
    graphemes = split_graphemes(text)
    starts = [0, *accumulate(map(len, graphemes))]
    return MeasuredText(graphemes, starts, [0, *accumulate(map(_unjoined_width, graphemes))])


def text_width(text: str) -> int:
    """Return the most columns that `text`, which must be clean, takes on any terminal."""
    return measure(text).columns[-1]


def split_graphemes(text: str) -> Sequence[str]:
    """Return the grapheme clusters of `text`; one that no terminal draws as one comes in parts."""
    if _SINGLE_COLUMN.fullmatch(text):
        return text
    return [part for grapheme in iter_graphemes(text) for part in _split_oversized(grapheme)]


def grapheme_width(grapheme: str) -> int:
    """Return the columns of a grapheme cluster on a terminal that draws it as one."""
    # Measured behind a space, because a mark without a letter stands on the space before it and may widen that.
    return max(0, wcswidth(f" {grapheme}") - 1)


def split_base_characters(grapheme: str) -> list[str]:
    """Return the parts of a grapheme cluster: each character that takes a column, with its marks."""
    parts = [""]
    for char in grapheme:
        if wcwidth(char) > 0:
            parts.append("")
        parts[-1] += char
    return [part for part in parts if part]


def _unjoined_width(grapheme: str) -> int:
    """Return the most columns of a grapheme cluster on any terminal.

    Many terminals draw the members of a family emoji side by side. Without this maximum a row would be too long there,
    and a message could continue at the left edge, where only the client's own lines begin.
    """
    return max(grapheme_width(grapheme), sum(max(0, wcwidth(char)) for char in grapheme))


def _split_oversized(grapheme: str) -> list[str]:
    """Return `grapheme`, or its parts if it is wider than any character (Unicode sets no limit)."""
    if len(grapheme) == 1:
        return [grapheme]
    if grapheme_width(grapheme) <= GRAPHEME_COLUMNS and _unjoined_width(grapheme) <= MAX_UNJOINED_COLUMNS:
        return [grapheme]
    return split_base_characters(grapheme)
