"""The completion menu below the input line. For the main thread."""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples, to_formatted_text

from hubbub.client.completion import Candidate, Completion
from hubbub.client.terminal.grapheme_layout import display_width, truncate

MENU_ROWS = 6  # shown at once: enough to choose from, and little of the chat is pushed away

SELECTED, UNSELECTED = "> ", "  "  # before a row; visible without colours too


class CompletionMenu:
    """The completions of the line in `buffer`, which come from `complete`. Opens while a command is typed."""

    def __init__(self, buffer: Buffer, complete: Callable[[str], Completion]) -> None:
        self._buffer = buffer
        self._complete = complete
        self._completion = Completion()  # that is offered; without candidates the menu is closed
        self._start = buffer.document  # the line when it was offered
        self._selected: int | None = None
        self._inserting = False  # a candidate: this change of the buffer is not typed by the user
        self._awaiting = False  # candidates for the typed text, as none were known yet
        buffer.on_text_insert += lambda _: self._update()
        buffer.on_text_changed += lambda _: self._on_change()
        buffer.on_cursor_position_changed += lambda _: self._on_change()

    @property
    def is_open(self) -> bool:
        """Whether there are candidates to select from."""
        return bool(self._completion.candidates)

    @property
    def selected_row(self) -> int:
        """The index of the selected row among those that are shown."""
        return (self._selected or 0) - self._first

    def close(self) -> None:
        """Close the menu; a selected candidate stays in the line."""
        self._completion, self._selected, self._awaiting = Completion(), None, False

    def refresh(self) -> None:
        """Update the menu with new candidates, such as rooms that the server has listed meanwhile."""
        if self._selected is None and (self.is_open or self._awaiting):
            self._update()

    def complete(self, step: int = 1) -> None:
        """Open the menu and select the next candidate (-1: the previous one). A single one is inserted at once."""
        if not self.is_open:
            self._offer(self._complete(self._buffer.document.text_before_cursor))
        if len(self._completion.candidates) == 1:
            self.select(step)
            self.close()
        elif self.is_open:
            self.select(step)

    def select(self, step: int) -> None:
        """Select the candidate `step` rows further and insert it into the line; after the last comes the first."""
        if self._selected is None:
            self._selected = 0 if step > 0 else len(self._completion.candidates) - 1
        else:
            self._selected = (self._selected + step) % len(self._completion.candidates)
        self._insert(self._completion.candidates[self._selected].text)

    def fragments(self, paint: Callable[[str, str], str], columns: int) -> StyleAndTextTuples:
        """Return the rows, at most MENU_ROWS, each within `columns`."""
        shown = self._completion.candidates[self._first : self._first + MENU_ROWS]
        width = max((display_width(candidate.label) for candidate in shown), default=0)
        rows: StyleAndTextTuples = []
        for number, candidate in enumerate(shown, start=self._first):
            rows += _row(candidate, paint, width, columns, selected=number == self._selected)
        return rows[:-1]  # the last row ends without a line feed

    @property
    def _first(self) -> int:
        """The index of the candidate in the first row; the menu scrolls so that the selected one is shown."""
        return max(0, (self._selected or 0) - MENU_ROWS + 1)

    def _update(self) -> None:
        """Offer what is useful while a command is typed."""
        before = self._buffer.document.text_before_cursor
        if not before.startswith("/") or "\n" in self._buffer.text:
            self.close()
            return
        completion = self._complete(before)
        self._offer(completion if completion.unasked else Completion())
        self._awaiting = not completion.candidates

    def _on_change(self) -> None:
        if self.is_open and not self._inserting:
            self._update()

    def _offer(self, completion: Completion) -> None:
        self._completion, self._selected, self._start = completion, None, self._buffer.document

    def _insert(self, text: str) -> None:
        start, position = self._start, self._start.cursor_position
        before = start.text[: position - self._completion.length] + text
        self._inserting = True
        self._buffer.document = Document(before + start.text[position:], len(before))
        self._inserting = False


def _row(
    candidate: Candidate, paint: Callable[[str, str], str], width: int, columns: int, *, selected: bool
) -> StyleAndTextTuples:
    label = truncate(candidate.label, columns - len(UNSELECTED))
    help_columns = columns - len(UNSELECTED) - width - 2
    # Without the help text where only a few letters of it would fit.
    help_text = truncate(candidate.help, help_columns) if help_columns >= len("help…") else ""
    padding = " " * (width - display_width(label) + 2) if help_text else ""
    if selected:
        text = paint("selected", f"{SELECTED}{label}{padding}{help_text}")
    else:
        text = f"{UNSELECTED}{paint(candidate.style, label)}{padding}{paint('presence', help_text)}"
    return [*to_formatted_text(ANSI(text)), ("", "\n")]
