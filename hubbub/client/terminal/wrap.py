"""Line wrapping: a StyledLine becomes rows of the screen, broken between words, with a hanging indent.

Widths are in terminal columns. Any thread may call `wrap`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.client.terminal.graphemes import MeasuredText, measure

SHORT_INDENT_COLUMNS = 2  # of a body whose prefix takes more than half of the screen
NARROW_COLUMNS = 10  # a narrower screen has no columns to spare for an indent


class _Break(NamedTuple):
    """The end of a row and the start of the next one, in grapheme clusters; the spaces between are dropped."""

    end: int
    next_start: int


def wrap(line: StyledLine, columns: int) -> list[list[Span]]:
    """Return `line` as one or more rows of a screen with so many columns.

    A row ends between two words where possible, else between two characters. Leading spaces stay; spaces at the end of
    a row are dropped. The second and later rows are indented to the first character of the body.
    """
    columns = max(1, columns)
    spans = [*line.prefix, *line.body]
    text = measure(line.text)
    if text.columns[-1] <= columns:
        return [spans]
    body_start = bisect_left(text.starts, sum(len(span.text) for span in line.prefix))
    indent = _hanging_indent(text.columns[body_start], columns)
    padding = [Span(" " * indent)] if indent else []
    first, *others = [_slice(spans, start, end) for start, end in _break_rows(text, columns, columns - indent)]
    return [first, *([*padding, *other] for other in others)]


def _hanging_indent(prefix_columns: int, columns: int) -> int:
    if columns < NARROW_COLUMNS:
        return 0
    return prefix_columns if 2 * prefix_columns <= columns else SHORT_INDENT_COLUMNS


def _break_rows(text: MeasuredText, first_columns: int, other_columns: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each row, in characters of the text."""
    start, columns = 0, first_columns
    while start < len(text.graphemes):
        row = _break_row(text, start, columns, other_columns)
        yield text.starts[start], text.starts[row.end]
        start, columns = row.next_start, other_columns


def _break_row(text: MeasuredText, start: int, columns: int, next_columns: int) -> _Break:
    """End the row that begins at `start` at its last space, or else at its last column.

    A word that is too long for the next row as well is not moved there, so that a prefix is not left alone on its row.
    """
    graphemes = text.graphemes
    end = max(start + 1, bisect_right(text.columns, text.columns[start] + columns) - 1)
    if end == len(graphemes):
        return _Break(end, end)
    space = end
    while space > start and graphemes[space] != " ":
        space -= 1
    if graphemes[space] != " ":
        return _Break(end, end)
    before, after = _find_spaces(graphemes, start, space)
    if after >= end or _word_fits(text, after, next_columns):
        return _Break(before, after)
    return _Break(end, end)


def _find_spaces(graphemes: Sequence[str], start: int, space: int) -> tuple[int, int]:
    """Return the start and end of the run of spaces around `space`; it does not begin before `start`."""
    before = after = space
    while before > start and graphemes[before - 1] == " ":
        before -= 1
    while after < len(graphemes) and graphemes[after] == " ":
        after += 1
    return before, after


def _word_fits(text: MeasuredText, start: int, columns: int) -> bool:
    end = bisect_right(text.columns, text.columns[start] + columns) - 1
    return end == len(text.graphemes) or " " in text.graphemes[start : end + 1]


def _slice(spans: Sequence[Span], start: int, end: int) -> list[Span]:
    """Return characters `start` to `end` of the text of all `spans`, with their styles."""
    result = []
    position = 0
    for span in spans:
        text = span.text[max(0, start - position) : max(0, end - position)]
        if text:
            result.append(Span(text, span.style))
        position += len(span.text)
    return result
