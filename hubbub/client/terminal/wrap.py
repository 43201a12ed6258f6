"""A StyledLine becomes rows of the screen: cut between its words, the body hanging behind its prefix.

Widths are in terminal columns, as wcwidth counts them. Any thread may call what is here.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from wcwidth import iter_graphemes, wcswidth, wcwidth

from hubbub.client.output.styled_line import Span, StyledLine

HANG_COLUMNS = 2  # of a body whose prefix takes more than half of the screen
NARROW_COLUMNS = 10  # a screen below that has none to spare for hanging
GRAPHEME_COLUMNS = 2  # the widest character that a terminal draws
JOINED_COLUMNS = 12  # what it is made of, beside each other: a couple of Unicode's, each with a tone of skin

# Where each code point is a character of one column: nothing joins with its neighbour. Latin, Greek, Cyrillic, quotes.
_SIMPLE = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027]*")


class _Measured(NamedTuple):
    """A text in grapheme clusters; the sequences after them have one more element, for the end of the text."""

    clusters: Sequence[str]
    starts: Sequence[int]  # in characters
    columns: Sequence[int]  # that stand before each


class _Cut(NamedTuple):
    """Where a row of the screen ends, and where the next one starts, in clusters; the spaces between are dropped."""

    end: int
    following: int


def text_width(text: str) -> int:
    """Return how many columns `text` takes at most; it is cleaned, so it has no control characters."""
    return _measure(text).columns[-1]


def clusters(text: str) -> Sequence[str]:
    """Return the grapheme clusters of `text`, those that are too long for it in parts that a terminal draws as one."""
    if _SIMPLE.fullmatch(text):
        return text
    return [drawn for cluster in iter_graphemes(text) for drawn in _drawn(cluster)]


def cluster_width(cluster: str) -> int:
    """Return how many columns `cluster` takes where it is drawn as one."""
    # Behind a space, for a mark without a letter stands on the space before it and may widen that.
    return max(0, wcswidth(f" {cluster}") - 1)


def parts(cluster: str) -> list[str]:
    """Return what `cluster` is made of: each character that takes a column, with the marks on it."""
    parts = [""]
    for char in cluster:
        if wcwidth(char) > 0:
            parts.append("")
        parts[-1] += char
    return [part for part in parts if part]


def wrap(row: StyledLine, columns: int) -> list[list[Span]]:
    """Return the rows of a screen of so many columns, at least one.

    They end between two words where they can, else between two characters; leading spaces stay, those between the
    words at a row's end do not. The second and later rows start below the first character of the body.
    """
    columns = max(1, columns)
    spans = [*row.prefix, *row.body]
    measured = _measure(row.text)
    if measured.columns[-1] <= columns:
        return [spans]
    body = bisect_left(measured.starts, sum(len(span.text) for span in row.prefix))
    hang = _hang(measured.columns[body], columns)
    indent = [Span(" " * hang)] if hang else []
    first, *others = [_part(spans, start, end) for start, end in _cuts(measured, columns, columns - hang)]
    return [first, *([*indent, *other] for other in others)]


def _hang(prefix_columns: int, columns: int) -> int:
    if columns < NARROW_COLUMNS:
        return 0
    return prefix_columns if 2 * prefix_columns <= columns else HANG_COLUMNS


# ---------------------------------------------------------------------------------------------------------- measuring


def _measure(text: str) -> _Measured:
    if _SIMPLE.fullmatch(text):
        places = range(len(text) + 1)
        return _Measured(text, places, places)
    drawn = clusters(text)
    starts = [0, *accumulate(map(len, drawn))]
    return _Measured(drawn, starts, [0, *accumulate(map(_most_columns, drawn))])


def _most_columns(cluster: str) -> int:
    """Return how many columns `cluster` takes where they are most.

    Many a terminal draws the people of a family beside each other. If that were not reckoned with, a row would be too
    long there, and what somebody says could begin where only the lines themselves begin.
    """
    return max(cluster_width(cluster), sum(max(0, wcwidth(char)) for char in cluster))


def _drawn(cluster: str) -> list[str]:
    """Return what a terminal draws as one: `cluster`, unless it is wider than any character (Unicode sets no limit)."""
    if len(cluster) == 1:
        return [cluster]
    if cluster_width(cluster) <= GRAPHEME_COLUMNS and _most_columns(cluster) <= JOINED_COLUMNS:
        return [cluster]
    return parts(cluster)


# ------------------------------------------------------------------------------------------------------------ cutting


def _cuts(measured: _Measured, room: int, hanging_room: int) -> Iterator[tuple[int, int]]:
    """Yield where each row of the screen starts and ends, in characters of the text.

    The first has `room` columns, each further one `hanging_room`.
    """
    start = 0
    while start < len(measured.clusters):
        cut = _cut(measured, start, room, hanging_room)
        yield measured.starts[start], measured.starts[cut.end]
        start, room = cut.following, hanging_room


def _cut(measured: _Measured, start: int, room: int, next_room: int) -> _Cut:
    """Cut the row that starts at `start` at its last space, or else where its `room` ends.

    A word that is too long for the next row as well does not move there: so a prefix and the first word behind it stay
    together where all rows have the same room.
    """
    clusters, columns = measured.clusters, measured.columns
    end = max(start + 1, bisect_right(columns, columns[start] + room) - 1)
    if end == len(clusters):
        return _Cut(end, end)
    space = end
    while space > start and clusters[space] != " ":
        space -= 1
    if clusters[space] != " ":
        return _Cut(end, end)
    before, after = _run_of_spaces(clusters, start, space)
    if after >= end or _word_fits(measured, after, next_room):
        return _Cut(before, after)
    return _Cut(end, end)


def _run_of_spaces(clusters: Sequence[str], start: int, space: int) -> tuple[int, int]:
    """Return where the spaces around `space` begin and end; those before `start` do not count."""
    before = after = space
    while before > start and clusters[before - 1] == " ":
        before -= 1
    while after < len(clusters) and clusters[after] == " ":
        after += 1
    return before, after


def _word_fits(measured: _Measured, start: int, room: int) -> bool:
    clusters, columns = measured.clusters, measured.columns
    end = bisect_right(columns, columns[start] + room) - 1
    return end == len(clusters) or " " in clusters[start : end + 1]


def _part(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    """Return characters `start` to `end` of what `spans` say together."""
    part = []
    position = 0
    for span in spans:
        text = span.text[max(0, start - position) : max(0, end - position)]
        if text:
            part.append(Span(text, span.style))
        position += len(span.text)
    return part
