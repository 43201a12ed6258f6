"""The input buffer of the editor, whose cursor and deletions respect grapheme clusters. For the main thread."""

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from hubbub.client.terminal.graphemes import split_graphemes


class GraphemeBuffer(Buffer):
    """A buffer in which the cursor moves over whole grapheme clusters, and only whole ones are deleted.

    The cursor is within a cluster only while one is typed that joins with the text behind it.
    """

    @property
    def cursor_position(self) -> int:
        """The cursor's position in code points. One within a cluster is moved on to the cluster's end."""
        return super().cursor_position

    @cursor_position.setter
    def cursor_position(self, value: int) -> None:
        # Insertions and deletions do not come here: they set the text and the position together, as this line does.
        position = min(max(0, value), len(self.text))
        self.document = Document(self.text, _snap(self.text, position, forward=position > self.cursor_position))

    def delete(self, count: int = 1) -> str:
        """Delete and return `count` code points behind the cursor, and the rest of the last one's cluster."""
        end = _snap(self.text, self.cursor_position + count, forward=True)
        return super().delete(end - self.cursor_position)

    def delete_before_cursor(self, count: int = 1) -> str:
        """Delete and return `count` code points before the cursor, and the rest of the first one's cluster."""
        start = _snap(self.text, max(0, self.cursor_position - count), forward=False)
        return super().delete_before_cursor(self.cursor_position - start)

    def swap_characters_before_cursor(self) -> None:
        """Swap the two clusters before the cursor."""
        text, end = self.text, self.cursor_position
        middle = _snap(text, max(0, end - 1), forward=False)
        start = _snap(text, max(0, middle - 1), forward=False)
        self.text = text[:start] + text[middle:end] + text[start:middle] + text[end:]


def _snap(text: str, position: int, *, forward: bool) -> int:
    """Return `position`, or if it is within a grapheme cluster the cluster's end (its start if not `forward`)."""
    start = text.rfind("\n", 0, position) + 1
    for grapheme in split_graphemes(text[start:].partition("\n")[0]):
        end = start + len(grapheme)
        if start < position < end:
            return end if forward else start
        if end >= position:
            break
        start = end
    return position
