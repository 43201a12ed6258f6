"""Grapheme clusters in the editor: each is one character to whoever lays out, moves or deletes. For the main thread.

prompt_toolkit takes every code point for a character and adds up their widths: four columns for a flag, six for a
family, where terminals draw two. So a stand-in, one character of the right width that nobody types, is laid out in the
place of a cluster, and when a frame is laid out, each of its cells gets the cluster itself.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import HSplit
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.screen import Char, Screen
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.utils import get_cwidth

from hubbub.client.terminal.wrap import GRAPHEME_COLUMNS, cluster_width, clusters, parts

# Of one column, for private use; of two, where no character is assigned yet but all are to be ideographs.
_STAND_INS = {1: range(0xF0000, 0xFFFFE), 2: range(0x34000, 0x3FFFE)}
_FIRST = chr(min(_STAND_INS[1].start, _STAND_INS[2].start))


def columns_of(text: str) -> int:
    """Return how many columns `text` takes in the editor, whose clusters are joined; see `wrap.text_width`."""
    return sum(map(_columns, _drawn(text)))


@lru_cache(maxsize=16)  # a frame is laid out several times until its height is known
def _drawn(text: str) -> Sequence[str]:
    """Return the clusters of `text`, but the letters of a conjunct one by one.

    Terminals disagree about its width: in one that does not join it, the last sign of `क्या` would be covered by what
    follows. So one that could join it draws a half letter instead.
    """
    return [part for cluster in clusters(text) for part in (parts(cluster) if _is_conjunct(cluster) else [cluster])]


def _is_conjunct(cluster: str) -> bool:
    return len(cluster) > 1 and any(map(str.isalpha, cluster[1:]))


@lru_cache(maxsize=4096)
def _columns(cluster: str) -> int:
    return min(GRAPHEME_COLUMNS, cluster_width(cluster))


@lru_cache(maxsize=4096)
def _stand_in_columns(cluster: str) -> int:
    """Return the columns of what has to stand for `cluster`; 0 where nothing has to."""
    columns = _columns(cluster)
    usual = len(cluster) == 1 and cluster < _FIRST and get_cwidth(cluster) == columns
    return 0 if usual else columns  # what takes none joins the cell before it by itself


# ---------------------------------------------------------------------------------------------------------- drawing


class Cluster(str):
    """A cluster, or a part of one, that is drawn from `column` on, and the `columns` that are reckoned for it."""

    column: int
    columns: int

    def __new__(cls, text: str, column: int, columns: int) -> Self:
        """Return `text` with them."""
        cluster = super().__new__(cls, text)
        cluster.column, cluster.columns = column, columns
        return cluster


class _Cell(NamedTuple):
    style: str
    text: str
    length: int  # of what is drawn there, in code points


class StandIns:
    """What stands for which cluster, for one frame."""

    def __init__(self) -> None:
        self._stand_ins: dict[str, str] = {}
        self._clusters: dict[int, str] = {}

    def join(self, fragments: StyleAndTextTuples) -> StyleAndTextTuples:
        """Return `fragments` with stand-ins."""
        return [(cell.style, cell.text) for cell in self.cells(fragments)]

    def cells(self, fragments: StyleAndTextTuples) -> Iterator[_Cell]:
        """Yield each cluster, or what stands for it; it looks as its first code point does."""
        styles = [style for style, text, *_ in fragments for _ in text]
        start = 0
        for cluster in _drawn("".join(fragment[1] for fragment in fragments)):
            yield _Cell(styles[start], self._cell(cluster), len(cluster))
            start += len(cluster)

    def draw(self, screen: Screen) -> None:
        """Put each cluster where its stand-in is, and forget them."""
        for row in screen.data_buffer.values() if self._clusters else ():
            for column, cell in row.items():
                text = cell.char.translate(self._clusters)
                if text != cell.char:
                    row[column] = Char(Cluster(text, column, cell.width), cell.style)
                    row[column].width = cell.width
        self._stand_ins.clear()
        self._clusters.clear()

    def _cell(self, cluster: str) -> str:
        columns = _stand_in_columns(cluster)
        return self._stand_in(cluster, _STAND_INS[columns]) if columns else cluster

    def _stand_in(self, cluster: str, characters: range) -> str:
        if cluster not in self._stand_ins:
            if len(self._stand_ins) >= len(characters):
                return cluster  # laid out badly; the frame has some 50,000 different ones
            character = characters[len(self._stand_ins)]
            self._stand_ins[cluster] = chr(character)
            self._clusters[character] = cluster
        return self._stand_ins[cluster]


class StandInProcessor(Processor):
    """Lays out a line that is edited with stand-ins."""

    def __init__(self, stand_ins: StandIns) -> None:
        self._stand_ins = stand_ins

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return the line with stand-ins."""
        if _is_ascii(transformation_input.fragments):
            return Transformation(transformation_input.fragments)
        laid_out: StyleAndTextTuples = []
        places = []  # of each code point
        for cell in self._stand_ins.cells(transformation_input.fragments):
            places += [len(laid_out)] * cell.length
            laid_out.append((cell.style, cell.text))
        return Transformation(laid_out, [*places, len(laid_out)].__getitem__)


class FullRowsProcessor(Processor):
    """Puts spaces at the end of a row where what follows has no room, each row behind so many columns.

    prompt_toolkit forgets such columns when it counts the rows of a line, and would not show the last row. And a
    cluster has no room in the last column: where nothing wraps by itself, as while a frame is drawn, a terminal's
    cursor stays on that column, and the marks of a letter there go to the one before.
    """

    def __init__(self, prompt_columns: Callable[[], int]) -> None:
        self._prompt_columns = prompt_columns

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return the line with such spaces."""
        if _is_ascii(transformation_input.fragments):
            return Transformation(transformation_input.fragments)
        width = transformation_input.width
        laid_out: StyleAndTextTuples = []
        places = []  # of each character
        column = prompt_columns = self._prompt_columns()
        for character in explode_text_fragments(transformation_input.fragments):
            columns = get_cwidth(character[1])
            if column + columns + (character[1] >= _FIRST) > width:
                laid_out += [("", " ")] * (width - column)
                column = prompt_columns
            places.append(len(laid_out))
            laid_out.append(character)
            column += columns
        return Transformation(laid_out, [*places, len(laid_out)].__getitem__)


def _is_ascii(fragments: StyleAndTextTuples) -> bool:
    # Most lines are, and then there is nothing to do; one that was pasted can be so long that it would be felt.
    return all(fragment[1].isascii() for fragment in fragments)


class ClusterRows(HSplit):
    """Windows below each other that show what stands for clusters as the clusters themselves."""

    def __init__(self, stand_ins: StandIns, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._stand_ins = stand_ins

    def write_to_screen(self, screen: Screen, *arguments: Any, **options: Any) -> None:
        """Lay out the frame."""
        super().write_to_screen(screen, *arguments, **options)
        self._stand_ins.draw(screen)


# ---------------------------------------------------------------------------------------------------------- editing


class ClusterBuffer(Buffer):
    """A text in which the cursor moves over whole clusters, and of which whole ones are deleted.

    Only while one is typed that joins with what follows, the cursor stands within it.
    """

    @property
    def cursor_position(self) -> int:
        """Where the cursor stands, in code points. Where it is moved into a cluster, it goes on to its end."""
        return super().cursor_position

    @cursor_position.setter
    def cursor_position(self, value: int) -> None:
        # What is typed or deleted does not come here: that sets the text and the position together, as is done below.
        place = min(max(0, value), len(self.text))
        self.document = Document(self.text, _edge(self.text, place, forward=place > self.cursor_position))

    def delete(self, count: int = 1) -> str:
        """Delete and return `count` code points behind the cursor, and the rest of the last one's cluster."""
        end = _edge(self.text, self.cursor_position + count, forward=True)
        return super().delete(end - self.cursor_position)

    def delete_before_cursor(self, count: int = 1) -> str:
        """Delete and return `count` code points before the cursor, and the rest of the first one's cluster."""
        start = _edge(self.text, max(0, self.cursor_position - count), forward=False)
        return super().delete_before_cursor(self.cursor_position - start)

    def swap_characters_before_cursor(self) -> None:
        """Swap the two clusters before the cursor."""
        text, end = self.text, self.cursor_position
        middle = _edge(text, max(0, end - 1), forward=False)
        start = _edge(text, max(0, middle - 1), forward=False)
        self.text = text[:start] + text[middle:end] + text[start:middle] + text[end:]


def _edge(text: str, position: int, *, forward: bool) -> int:
    """Return `position`, or if that is within a cluster, where the cluster ends, or starts if not `forward`."""
    start = text.rfind("\n", 0, position) + 1
    for cluster in clusters(text[start:].partition("\n")[0]):
        end = start + len(cluster)
        if start < position < end:
            return end if forward else start
        if end >= position:
            break
        start = end
    return position
