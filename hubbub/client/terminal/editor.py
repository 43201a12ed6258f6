"""The line editor of the chat: the input, and the rows above and below it. For the main thread.

It is one prompt that stays open from the first line to the last:

    … lines that are not sent yet
    lobby> the line that the user types, and a suggestion for the rest of it
    the search in the history, the completion menu, or the prompt about pasted lines
    lobby · 3 people · connected
"""

import math
import time
from collections.abc import Callable, Sequence

from prompt_toolkit.application import Application
from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Point
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.formatted_text import ANSI, AnyFormattedText, to_formatted_text
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.key_binding.bindings.auto_suggest import load_auto_suggest_bindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import ConditionalContainer, Dimension, FormattedTextControl, Layout, Window
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import AfterInput, HighlightIncrementalSearchProcessor
from prompt_toolkit.widgets import SearchToolbar

from hubbub.client.output.ui import InputRejectedError, LineHandler
from hubbub.client.terminal.completion_menu import CompletionMenu
from hubbub.client.terminal.grapheme_buffer import GraphemeBuffer
from hubbub.client.terminal.grapheme_layout import (
    GraphemeSplit,
    PlaceholderProcessor,
    Placeholders,
    RowPaddingProcessor,
    display_width,
    truncate,
)
from hubbub.client.terminal.paste import MAX_UNCONFIRMED_LINES, escape_command, split_paste, unescape_command
from hubbub.client.terminal.tty import Terminal

REFRESH_SECONDS = 0.5  # between two updates of the status, which counts seconds
ESCAPE_SECONDS = 0.1  # for the rest of an escape sequence, until Esc is the key: a packet's time on a slow network
CHORD_SECONDS = 0.3  # for the second key of a pair, such as Esc and a letter for Alt

LEAVE_SECONDS = 2.0  # after Ctrl-C on an empty line, in which a second one leaves

PROMPT_END = "> "
LEAVE_HINT = "Press Ctrl-C again to leave"
PASTE_PROMPT = "send {} lines? s: send · e: edit · c: cancel (Esc)"
PASTE_PROMPT_NARROW = "send {} lines?\ns send e edit c drop"  # fits into 20 columns


class _InlineSuggestion(AutoSuggest):
    """Suggestions for the rest of the message that the user types."""

    def __init__(self, handler: LineHandler) -> None:
        self._handler = handler

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:  # noqa: ARG002
        """Return the rest of the best candidate that is useful while the user types."""
        before = document.text_before_cursor
        if before.startswith("/") or "\n" in before or not document.is_cursor_at_the_end:
            return None
        completion = self._handler.complete(before)
        typed = before[len(before) - completion.length :]
        if not completion.unasked or not completion.candidates:
            return None
        text = completion.candidates[0].text
        return Suggestion(text.removeprefix(typed)) if text.startswith(typed) else None


class Editor:
    """A line editor for `handler` on `terminal`.

    `mentions` returns how many mentions are unread; `redraw` draws the whole screen again.
    """

    def __init__(
        self,
        handler: LineHandler,
        terminal: Terminal,
        history: History,
        mentions: Callable[[], int],
        redraw: Callable[[], None],
    ) -> None:
        self.status = handler.status()  # as it was last drawn
        self._handler = handler
        self._terminal = terminal
        self._mentions = mentions
        self._redraw = redraw
        self._leaves_until = -math.inf  # monotonic seconds; until then Ctrl-C leaves
        self._paste: list[str] = []  # the lines that wait for the user's confirmation
        self._placeholders = Placeholders()
        self._buffer = GraphemeBuffer(
            name=DEFAULT_BUFFER, history=history, auto_suggest=_InlineSuggestion(handler), multiline=False
        )
        self._menu = CompletionMenu(self._buffer, handler.complete)
        self._confirming_paste = Condition(lambda: bool(self._paste))
        self.app: Application[None] = Application(
            layout=self._layout(),
            key_bindings=merge_key_bindings(
                [load_auto_suggest_bindings(), self._key_bindings(), self._paste_key_bindings()]
            ),
            color_depth=terminal.color_depth,
            erase_when_done=True,
            refresh_interval=REFRESH_SECONDS,
            input=terminal.input,
            output=terminal.output,
        )
        self.app.ttimeoutlen = ESCAPE_SECONDS
        self.app.timeoutlen = CHORD_SECONDS
        self.app.before_render += lambda _: self._update()

    def _update(self) -> None:
        self.status = self._handler.status()
        self._menu.refresh()

    # ----------------------------------------------------------------------------------------------------- display

    def _layout(self) -> Layout:
        search = SearchToolbar(GraphemeBuffer())
        processors = search.control.input_processors or ()
        search.control.input_processors = [*processors, PlaceholderProcessor(self._placeholders)]
        input_window = self._input_window(search)
        menu = self._control(self._menu_rows)
        menu.get_cursor_position = lambda: Point(0, self._menu.selected_row)
        # On a small screen all rows but the input shrink, in the end to nothing.
        rows = GraphemeSplit(
            self._placeholders,
            [
                self._optional_rows(self._unsent_rows, Condition(lambda: bool(self.status.unsent_count))),
                input_window,
                search,
                ConditionalContainer(Window(menu, dont_extend_height=True), Condition(lambda: self._menu.is_open)),
                self._optional_rows(self._paste_prompt, self._confirming_paste),
                Window(self._control(self._status_row), height=Dimension(max=1)),
            ],
            window_too_small=Window(),
        )
        return Layout(rows, input_window)

    def _input_window(self, search: SearchToolbar) -> Window:
        control = BufferControl(
            self._buffer,
            input_processors=[
                HighlightIncrementalSearchProcessor(),
                AfterInput(self._suggestion),
                PlaceholderProcessor(self._placeholders),
                RowPaddingProcessor(lambda: display_width(self._prompt())),
            ],
            include_default_input_processors=False,
            search_buffer_control=search.control,
            preview_search=True,
        )
        return Window(
            control,
            height=lambda: Dimension(min=1, max=max(1, self._terminal.output.get_size().rows // 2)),
            wrap_lines=True,
            dont_extend_height=True,
            get_line_prefix=self._row_prefix,
        )

    def _optional_rows(self, text: Callable[[], AnyFormattedText], shown: Condition) -> ConditionalContainer:
        window = Window(self._control(text), height=lambda: Dimension(max=self._max_rows), dont_extend_height=True)
        return ConditionalContainer(window, shown)

    def _control(self, text: Callable[[], AnyFormattedText]) -> FormattedTextControl:
        return FormattedTextControl(lambda: self._placeholders.substitute(to_formatted_text(text())))

    @property
    def _columns(self) -> int:
        return self._terminal.output.get_size().columns

    @property
    def _max_rows(self) -> int:
        """The most rows for the unsent lines, and for the prompt about pasted lines."""
        return max(2, self._terminal.output.get_size().rows // 4)

    def _row_prefix(self, line_number: int, wrap_count: int) -> AnyFormattedText:
        """Return the prompt for the first row of the input, and an indent of the same width for the others."""
        prompt = self._prompt()
        if line_number == wrap_count == 0:
            return self._placeholders.substitute([("", prompt)])
        return " " * display_width(prompt)

    def _prompt(self) -> str:
        return truncate(self.status.room, self._columns // 2 - len(PROMPT_END)) + PROMPT_END

    def _suggestion(self) -> AnyFormattedText:
        hint = self._buffer.suggestion
        if hint is None or not self._terminal.colored or not self._buffer.document.is_cursor_at_the_end:
            return ""  # without colours it would look like typed text
        return ANSI(self._terminal.paint("hint", hint.text))

    def _unsent_rows(self) -> AnyFormattedText:
        return ANSI(self._terminal.paint("presence", "\n".join(self.status.unsent_lines)))

    def _menu_rows(self) -> AnyFormattedText:
        return self._menu.fragments(self._terminal.paint, self._columns)

    def _paste_prompt(self) -> AnyFormattedText:
        first = truncate(self._paste[0][: self._columns], self._columns)
        prompt = PASTE_PROMPT.format(len(self._paste))
        if display_width(prompt) > self._columns:
            prompt = PASTE_PROMPT_NARROW.format(len(self._paste))
        return ANSI(f"{self._terminal.paint('marker', prompt)}\n{self._terminal.paint('hint', first)}")

    def _status_row(self) -> AnyFormattedText:
        if time.monotonic() < self._leaves_until:
            return ANSI(self._terminal.paint("marker", truncate(LEAVE_HINT, self._columns)))
        return ANSI(self._terminal.paint("status", truncate(self.status.line(self._mentions()), self._columns)))

    # ------------------------------------------------------------------------------------------------------ typing

    def _key_bindings(self) -> KeyBindings:
        keys = KeyBindings()
        typing = has_focus(DEFAULT_BUFFER)  # and not in the search of the history
        selecting = typing & Condition(lambda: self._menu.is_open)
        empty = Condition(lambda: not self._buffer.text)
        keys.add("enter", filter=typing)(lambda _: self._on_enter())
        keys.add("tab", filter=typing)(lambda _: self._menu.complete())
        keys.add("s-tab", filter=typing)(lambda _: self._menu.complete(-1))
        keys.add("down", filter=selecting)(lambda _: self._menu.select(1))
        keys.add("up", filter=selecting)(lambda _: self._menu.select(-1))
        keys.add("escape", filter=selecting)(lambda _: self._menu.close())
        keys.add("c-c", filter=typing)(lambda _: self._clear_or_leave())
        keys.add("<sigint>")(lambda _: self._clear_or_leave())
        keys.add("c-d", filter=typing & empty)(lambda _: self._carry_out("/exit"))
        keys.add("c-l", eager=True)(lambda _: self._redraw())
        for key in ("pageup", "pagedown"):  # they scroll in other programs; the default is an old line
            keys.add(key, filter=typing)(lambda _: None)
        keys.add("c-z", eager=True)(lambda event: self._terminal.suspend(event.app))
        keys.add(Keys.BracketedPaste, filter=typing, eager=True)(lambda event: self._on_paste(event.data))
        return keys

    def _on_enter(self) -> None:
        """Carry out the line, or post all lines if there are several; rejected lines stay in the input."""
        lines = self._buffer.text.split("\n")
        accepted = self._carry_out(lines[0]) if len(lines) == 1 else self._post([*map(unescape_command, lines)])
        if accepted:
            self._menu.close()
            self._buffer.reset(append_to_history=True)
            self._buffer.load_history_if_not_yet_loaded()  # before the next frame, as Up may be pressed earlier

    def _carry_out(self, line: str) -> bool:
        try:
            stays = self._handler.handle_line(line)
        except InputRejectedError:
            return False
        if not stays:
            self.app.exit()
        return True

    def _post(self, lines: Sequence[str]) -> bool:
        try:
            self._handler.handle_paste(lines)
        except InputRejectedError:
            return False
        return True

    def _clear_or_leave(self) -> None:
        self._menu.close()
        if self._buffer.text:
            self._buffer.reset()
        elif time.monotonic() < self._leaves_until:
            self._carry_out("/exit")
        else:  # it may have been meant for the line that was just sent
            self._leaves_until = time.monotonic() + LEAVE_SECONDS

    # ------------------------------------------------------------------------------------------------------ pasting

    def _on_paste(self, text: str) -> None:
        """Insert pasted text into the input, or ask first if it has many lines."""
        lines = [*self._paste, *split_paste(text)]
        if len(lines) > MAX_UNCONFIRMED_LINES:
            self._paste = lines
        elif lines:
            self._insert(lines)

    def _insert(self, lines: Sequence[str]) -> None:
        first = lines[0] if self._buffer.document.current_line_before_cursor else escape_command(lines[0])
        self._buffer.insert_text("\n".join([first, *map(escape_command, lines[1:])]))

    def _paste_key_bindings(self) -> KeyBindings:
        """Return the key bindings of the prompt about pasted lines; all other keys do nothing while it is shown."""
        keys = KeyBindings()
        confirming = self._confirming_paste
        keys.add(Keys.Any, filter=confirming, eager=True)(lambda _: None)
        keys.add(Keys.BracketedPaste, filter=confirming, eager=True)(lambda event: self._on_paste(event.data))
        cancel_keys = ("c", "C", "escape", "c-c")
        for names, action in (("sS", self._send_paste), ("eE", self._edit_paste), (cancel_keys, self._discard_paste)):
            for name in names:
                keys.add(name, filter=confirming, eager=True)(_ignoring_event(action))
        return keys

    def _send_paste(self) -> None:
        lines, self._paste = self._paste, []
        if not self._post(lines):
            self._insert(lines)

    def _edit_paste(self) -> None:
        lines, self._paste = self._paste, []
        self._insert(lines)

    def _discard_paste(self) -> None:
        self._paste = []


def _ignoring_event(action: Callable[[], None]) -> Callable[[KeyPressEvent], None]:
    return lambda _: action()
