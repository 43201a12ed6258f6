"""Layout of grapheme clusters in the editor. For the main thread.

prompt_toolkit lays out single code points and adds up their widths: four columns for a flag, six for a family emoji,
where terminals draw two. So the layout gets a placeholder for each cluster, a private-use or unassigned character of
the right width. When a frame is laid out, each placeholder on the screen is replaced by its cluster.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import HSplit
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.screen import Char, Screen
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.utils import get_cwidth

from hubbub.client.terminal.graphemes import GRAPHEME_COLUMNS, grapheme_width, split_base_characters, split_graphemes

# By their width: private-use characters, and unassigned ones in a block that is reserved for ideographs.
_PLACEHOLDERS = {1: range(0xF0000, 0xFFFFE), 2: range(0x34000, 0x3FFFE)}
_FIRST_PLACEHOLDER = chr(min(_PLACEHOLDERS[1].start, _PLACEHOLDERS[2].start))


def display_width(text: str) -> int:
    """Return the columns of `text` in the editor, where clusters are joined. `graphemes.text_width` may be more."""
    return sum(map(_columns, _split(text)))


def truncate(text: str, columns: int) -> str:
    """Return `text`, or as much of it as fits into `columns` with a `…` behind it."""
    if display_width(text) <= columns:
        return text
    graphemes = [*split_graphemes(text)]
    while graphemes and display_width("".join(graphemes)) > columns - len("…"):
        graphemes.pop()
    return f"{''.join(graphemes)}…" if columns > 0 else ""


@lru_cache(maxsize=16)  # a frame is laid out several times until its height is known
def _split(text: str) -> Sequence[str]:
    """Return the grapheme clusters of `text`, but the letters of a conjunct one by one.

    Terminals disagree about the width of a conjunct. On one that does not join it, the last sign of `क्या` would be
    covered by the text behind it. Split in this way, a terminal that could join it draws a half letter instead.
    """
    parts: list[str] = []
    for grapheme in split_graphemes(text):
        is_conjunct = len(grapheme) > 1 and any(map(str.isalpha, grapheme[1:]))
        parts += split_base_characters(grapheme) if is_conjunct else [grapheme]
    return parts


@lru_cache(maxsize=4096)
def _columns(grapheme: str) -> int:
    return min(GRAPHEME_COLUMNS, grapheme_width(grapheme))


@lru_cache(maxsize=4096)
def _placeholder_columns(grapheme: str) -> int:
    """Return the columns of the placeholder for `grapheme`; 0 where none is needed."""
    columns = _columns(grapheme)
    is_single = len(grapheme) == 1 and grapheme < _FIRST_PLACEHOLDER and get_cwidth(grapheme) == columns
    return 0 if is_single else columns  # a cluster without columns joins the cell before it by itself


class PlacedGrapheme(str):
    """A grapheme cluster, or a part of one, with the screen column where it begins and the columns reserved for it."""

    column: int
    columns: int

    def __new__(cls, text: str, column: int, columns: int) -> Self:
        """Return `text` with these attributes."""
        grapheme = super().__new__(cls, text)
        grapheme.column, grapheme.columns = column, columns
        return grapheme


class _Cell(NamedTuple):
    style: str
    text: str  # a grapheme cluster or its placeholder
    length: int  # of the cluster, in code points


class Placeholders:
    """The placeholders of one frame."""

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}  # by grapheme cluster
        self._graphemes: dict[int, str] = {}  # by the placeholder's code point

    def substitute(self, fragments: StyleAndTextTuples) -> StyleAndTextTuples:
        """Return `fragments` with placeholders."""
        return [(cell.style, cell.text) for cell in self.cells(fragments)]

    def cells(self, fragments: StyleAndTextTuples) -> Iterator[_Cell]:
        """Yield each grapheme cluster or its placeholder, in the style of its first code point."""
        styles = [style for style, text, *_ in fragments for _ in text]
        start = 0
        for grapheme in _split("".join(fragment[1] for fragment in fragments)):
            columns = _placeholder_columns(grapheme)
            text = self._placeholder(grapheme, _PLACEHOLDERS[columns]) if columns else grapheme
            yield _Cell(styles[start], text, len(grapheme))
            start += len(grapheme)

    def restore(self, screen: Screen) -> None:
        """Replace each placeholder on `screen` by its grapheme cluster, and forget them all."""
        for row in screen.data_buffer.values() if self._graphemes else ():
            for column, cell in row.items():
                text = cell.char.translate(self._graphemes)
                if text != cell.char:
                    row[column] = Char(PlacedGrapheme(text, column, cell.width), cell.style)
                    row[column].width = cell.width
        self._placeholders.clear()
        self._graphemes.clear()

    def _placeholder(self, grapheme: str, characters: range) -> str:
        if grapheme not in self._placeholders:
            if len(self._placeholders) >= len(characters):
                return grapheme  # laid out badly; the frame has some 50,000 different clusters
            character = characters[len(self._placeholders)]
            self._placeholders[grapheme] = chr(character)
            self._graphemes[character] = grapheme
        return self._placeholders[grapheme]


class PlaceholderProcessor(Processor):
    """Replaces the grapheme clusters of the input by placeholders."""

    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders = placeholders

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return the line with placeholders."""
        if _is_ascii(transformation_input.fragments):
            return Transformation(transformation_input.fragments)
        fragments: StyleAndTextTuples = []
        positions = []  # of each code point
        for cell in self._placeholders.cells(transformation_input.fragments):
            positions += [len(fragments)] * cell.length
            fragments.append((cell.style, cell.text))
        return Transformation(fragments, [*positions, len(fragments)].__getitem__)


class RowPaddingProcessor(Processor):
    """Adds spaces at the end of a row of the input where the next character has no room behind the prompt.

    prompt_toolkit forgets the prompt's columns when it counts the rows of a wrapped line, and would not show the last
    row. The last column is kept free of placeholders: while a frame is drawn without automatic wrapping, a terminal's
    cursor stays in that column, and the marks of a letter there would go to the letter before.
    """

    def __init__(self, prompt_columns: Callable[[], int]) -> None:
        self._prompt_columns = prompt_columns

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Return the line with such spaces."""
        if _is_ascii(transformation_input.fragments):
            return Transformation(transformation_input.fragments)
        width = transformation_input.width
        fragments: StyleAndTextTuples = []
        positions = []  # of each character
        column = prompt_columns = self._prompt_columns()
        for character in explode_text_fragments(transformation_input.fragments):
            columns = get_cwidth(character[1])
            if column + columns + (character[1] >= _FIRST_PLACEHOLDER) > width:
                fragments += [("", " ")] * (width - column)
                column = prompt_columns
            positions.append(len(fragments))
            fragments.append(character)
            column += columns
        return Transformation(fragments, [*positions, len(fragments)].__getitem__)


def _is_ascii(fragments: StyleAndTextTuples) -> bool:
    # True for most lines. Without this shortcut a key would be slow in a long pasted line.
    return all(fragment[1].isascii() for fragment in fragments)


class GraphemeSplit(HSplit):
    """Windows below each other; their placeholders are drawn as grapheme clusters."""

    def __init__(self, placeholders: Placeholders, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._placeholders = placeholders

    def write_to_screen(self, screen: Screen, *arguments: Any, **options: Any) -> None:
        """Lay out the frame."""
        super().write_to_screen(screen, *arguments, **options)
        self._placeholders.restore(screen)
