"""The menu below the input line: how what is typed may go on. For the main thread."""

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI, StyleAndTextTuples, to_formatted_text

from hubbub.client.completion import Candidate, Completion
from hubbub.client.terminal.graphemes import columns_of
from hubbub.client.terminal.wrap import clusters

MENU_ROWS = 6  # shown at once: enough to choose from, and little of the chat is pushed away

CHOSEN, OTHER = "> ", "  "  # before a row; the one mark that also shows without colours


def cut(text: str, columns: int) -> str:
    """Return `text`, or as much of it as fits into `columns` with a `…` behind it."""
    if columns_of(text) <= columns:
        return text
    kept = [*clusters(text)]
    room = columns - len("…")
    while kept and columns_of("".join(kept)) > room:
        kept.pop()
    return f"{''.join(kept)}…" if columns > 0 else ""


class CompletionMenu:
    """Ways for the line in `buffer` to go on, from `complete`; opens by itself while a command is typed."""

    def __init__(self, buffer: Buffer, complete: Callable[[str], Completion]) -> None:
        self._buffer = buffer
        self._complete = complete
        self._completion = Completion()  # what is offered; without candidates the menu is closed
        self._start = buffer.document  # what was typed when it was offered
        self._chosen: int | None = None
        self._writing = False  # a choice into the buffer, which is nothing that the person types
        self._wanting = False  # of candidates for what is typed: there were none yet
        buffer.on_text_insert += lambda _: self._follow()
        buffer.on_text_changed += lambda _: self._keep_up()
        buffer.on_cursor_position_changed += lambda _: self._keep_up()

    @property
    def is_open(self) -> bool:
        """Whether there is something to choose from."""
        return bool(self._completion.candidates)

    @property
    def row(self) -> int:
        """Which of the rows is the chosen one."""
        return (self._chosen or 0) - self._first

    def close(self) -> None:
        """Offer nothing; a choice stays in the line."""
        self._completion, self._chosen, self._wanting = Completion(), None, False

    def refresh(self) -> None:
        """Offer what is known now; rooms, for one, have to be asked of the server."""
        if self._chosen is None and (self.is_open or self._wanting):
            self._follow()

    def ask(self, step: int = 1) -> None:
        """Choose the next candidate, or with a `step` of -1 the one before; the only one is taken at once."""
        if not self.is_open:
            self._offer(self._complete(self._buffer.document.text_before_cursor))
        if len(self._completion.candidates) == 1:
            self.walk(step)
            self.close()
        elif self.is_open:
            self.walk(step)

    def walk(self, step: int) -> None:
        """Put the candidate `step` rows below the chosen one into the line; past the last comes the first."""
        if self._chosen is None:
            self._chosen = 0 if step > 0 else len(self._completion.candidates) - 1
        else:
            self._chosen = (self._chosen + step) % len(self._completion.candidates)
        self._write(self._completion.candidates[self._chosen].text)

    def fragments(self, paint: Callable[[str, str], str], columns: int) -> StyleAndTextTuples:
        """Return the rows, at most MENU_ROWS, each within `columns`."""
        shown = self._completion.candidates[self._first : self._first + MENU_ROWS]
        width = max((columns_of(candidate.label) for candidate in shown), default=0)
        rows: StyleAndTextTuples = []
        for number, candidate in enumerate(shown, start=self._first):
            rows += _row(candidate, paint, width, columns, chosen=number == self._chosen)
        return rows[:-1]  # the last row ends without a line feed

    @property
    def _first(self) -> int:
        """The candidate in the first row: as many as fit end with the chosen one."""
        return max(0, (self._chosen or 0) - MENU_ROWS + 1)

    def _follow(self) -> None:
        """Offer what helps while a command is typed."""
        before = self._buffer.document.text_before_cursor
        if not before.startswith("/") or "\n" in self._buffer.text:
            self.close()
            return
        completion = self._complete(before)
        self._offer(completion if completion.unasked else Completion())
        self._wanting = not completion.candidates

    def _keep_up(self) -> None:
        if self.is_open and not self._writing:
            self._follow()

    def _offer(self, completion: Completion) -> None:
        self._completion, self._chosen, self._start = completion, None, self._buffer.document

    def _write(self, text: str) -> None:
        start, position = self._start, self._start.cursor_position
        before = start.text[: position - self._completion.length] + text
        self._writing = True
        self._buffer.document = Document(before + start.text[position:], len(before))
        self._writing = False


def _row(
    candidate: Candidate, paint: Callable[[str, str], str], width: int, columns: int, *, chosen: bool
) -> StyleAndTextTuples:
    label = cut(candidate.label, columns - len(OTHER))
    help_columns = columns - len(OTHER) - width - 2
    # Without the help, where there are only a few letters of it to see.
    help_text = cut(candidate.help, help_columns) if help_columns >= len("help…") else ""
    padding = " " * (width - columns_of(label) + 2) if help_text else ""
    if chosen:
        text = paint("selected", f"{CHOSEN}{label}{padding}{help_text}")
    else:
        text = f"{OTHER}{paint(candidate.style, label)}{padding}{paint('presence', help_text)}"
    return [*to_formatted_text(ANSI(text)), ("", "\n")]
