"""The line editor of the chat: the input, and the rows above and below it. For the main thread.

A prompt that stays open from the first line to the last:

    … lines that are not sent yet
    lobby> what is being typed, and how it could go on
    the search of old lines, or the menu, or the question about what was pasted
    lobby · 3 people · connected
"""

import re
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
from hubbub.client.terminal.completion_menu import CompletionMenu, cut
from hubbub.client.terminal.graphemes import (
    ClusterBuffer,
    ClusterRows,
    FullRowsProcessor,
    StandInProcessor,
    StandIns,
    columns_of,
)
from hubbub.client.terminal.tty import Terminal
from hubbub.protocol import clean

REFRESH_SECONDS = 0.5  # between two looks at the status, which counts seconds
ESCAPE_SECONDS = 0.1  # for what follows an escape character, if it is not the key: a slow network's packet
CHORD_SECONDS = 0.3  # for the second key of two that belong together, such as Esc and a letter for Alt
PASTE_LINES = 5  # said without a question; more may have been pasted by mistake

PROMPT_END = "> "
QUESTION = "send {} lines? s: send · e: edit · c: cancel (Esc)"
QUESTION_NARROW = "send {} lines?\ns send e edit c drop"  # its answers fit into 20 columns

_LINE_ENDS = re.compile("\r\n|\r|\n")


def pasted_lines(text: str) -> list[str]:
    """Return the lines of what was pasted, cleaned; of more than one, those that say something."""
    lines = [clean(line) for line in _LINE_ENDS.split(text)]
    return lines if len(lines) == 1 else [line for line in lines if line.strip()]


def as_text(line: str) -> str:
    """Return how `line` is typed so that it is no command."""
    return f"/{line}" if line.startswith("/") else line


def as_said(line: str) -> str:
    """Return what is said by a line of which none is a command."""
    return line[1:] if line.startswith("//") else line


class _Hints(AutoSuggest):
    """Tells how what is being said may go on."""

    def __init__(self, handler: LineHandler) -> None:
        self._handler = handler

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:  # noqa: ARG002
        """Return the rest of the best candidate, if it helps while one types."""
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
    """Edits lines for `handler` on `terminal`; `mentions` counts the unread ones, `redraw` draws the whole screen."""

    def __init__(
        self,
        handler: LineHandler,
        terminal: Terminal,
        history: History,
        mentions: Callable[[], int],
        redraw: Callable[[], None],
    ) -> None:
        self.status = handler.status()  # as it was last shown
        self._handler = handler
        self._terminal = terminal
        self._mentions = mentions
        self._redraw = redraw
        self._paste: list[str] = []  # that the person is asked about
        self._stand_ins = StandIns()
        self._buffer = ClusterBuffer(
            name=DEFAULT_BUFFER, history=history, auto_suggest=_Hints(handler), multiline=False
        )
        self._menu = CompletionMenu(self._buffer, handler.complete)
        self._asks = Condition(lambda: bool(self._paste))
        self.app: Application[None] = Application(
            layout=self._layout(),
            key_bindings=merge_key_bindings([load_auto_suggest_bindings(), self._keys(), self._answers()]),
            color_depth=terminal.color_depth,
            erase_when_done=True,
            refresh_interval=REFRESH_SECONDS,
            input=terminal.input,
            output=terminal.output,
        )
        self.app.ttimeoutlen = ESCAPE_SECONDS
        self.app.timeoutlen = CHORD_SECONDS
        self.app.before_render += lambda _: self._look()

    def _look(self) -> None:
        self.status = self._handler.status()
        self._menu.refresh()

    # ------------------------------------------------------------------------------------------------ what is shown

    def _layout(self) -> Layout:
        joined = StandInProcessor(self._stand_ins)
        search = SearchToolbar(ClusterBuffer())
        search.control.input_processors = [*(search.control.input_processors or ()), joined]
        line = Window(
            BufferControl(
                self._buffer,
                input_processors=[
                    HighlightIncrementalSearchProcessor(),
                    AfterInput(self._hint),
                    joined,
                    FullRowsProcessor(lambda: columns_of(self._prompt())),
                ],
                include_default_input_processors=False,
                search_buffer_control=search.control,
                preview_search=True,
            ),
            height=lambda: Dimension(min=1, max=max(1, self._terminal.output.get_size().rows // 2)),
            wrap_lines=True,
            dont_extend_height=True,
            get_line_prefix=self._prefix,
        )
        menu = self._shown(self._menu_rows)
        menu.get_cursor_position = lambda: Point(0, self._menu.row)
        # Where there is too little room, all of them but the line shrink, in the end to nothing.
        rows = ClusterRows(
            self._stand_ins,
            [
                self._rows_of(self._unsent, Condition(lambda: bool(self.status.unsent_count))),
                line,
                search,
                ConditionalContainer(Window(menu, dont_extend_height=True), Condition(lambda: self._menu.is_open)),
                self._rows_of(self._question, self._asks),
                Window(self._shown(self._status_row), height=Dimension(max=1)),
            ],
            window_too_small=Window(),
        )
        return Layout(rows, line)

    def _rows_of(self, text: Callable[[], AnyFormattedText], shown: Condition) -> ConditionalContainer:
        window = Window(self._shown(text), height=lambda: Dimension(max=self._part_of_screen), dont_extend_height=True)
        return ConditionalContainer(window, shown)

    def _shown(self, text: Callable[[], AnyFormattedText]) -> FormattedTextControl:
        return FormattedTextControl(lambda: self._stand_ins.join(to_formatted_text(text())))

    @property
    def _columns(self) -> int:
        return self._terminal.output.get_size().columns

    @property
    def _part_of_screen(self) -> int:
        """How many rows the unsent lines may take, and the question."""
        return max(2, self._terminal.output.get_size().rows // 4)

    def _prefix(self, line_number: int, wrap_count: int) -> AnyFormattedText:
        """Return what stands before a row of the input; the rows below the first hang behind the prompt."""
        prompt = self._prompt()
        if line_number == wrap_count == 0:
            return self._stand_ins.join([("", prompt)])
        return " " * columns_of(prompt)

    def _prompt(self) -> str:
        return cut(self.status.room, self._columns // 2 - len(PROMPT_END)) + PROMPT_END

    def _hint(self) -> AnyFormattedText:
        hint = self._buffer.suggestion
        if hint is None or not self._terminal.colored or not self._buffer.document.is_cursor_at_the_end:
            return ""  # without colours nobody could tell it from what is typed
        return ANSI(self._terminal.paint("hint", hint.text))

    def _unsent(self) -> AnyFormattedText:
        return ANSI(self._terminal.paint("presence", "\n".join(self.status.unsent_lines)))

    def _menu_rows(self) -> AnyFormattedText:
        return self._menu.fragments(self._terminal.paint, self._columns)

    def _question(self) -> AnyFormattedText:
        first = cut(self._paste[0][: self._columns], self._columns)
        question = QUESTION.format(len(self._paste))
        if columns_of(question) > self._columns:
            question = QUESTION_NARROW.format(len(self._paste))
        return ANSI(f"{self._terminal.paint('marker', question)}\n{self._terminal.paint('hint', first)}")

    def _status_row(self) -> AnyFormattedText:
        return ANSI(self._terminal.paint("status", cut(self.status.line(self._mentions()), self._columns)))

    # ------------------------------------------------------------------------------------------------- what is typed

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        typing = has_focus(DEFAULT_BUFFER)  # and not in the search of old lines
        choosing = typing & Condition(lambda: self._menu.is_open)
        empty = Condition(lambda: not self._buffer.text)
        keys.add("enter", filter=typing)(lambda _: self._take())
        keys.add("tab", filter=typing)(lambda _: self._menu.ask())
        keys.add("s-tab", filter=typing)(lambda _: self._menu.ask(-1))
        keys.add("down", filter=choosing)(lambda _: self._menu.walk(1))
        keys.add("up", filter=choosing)(lambda _: self._menu.walk(-1))
        keys.add("escape", filter=choosing)(lambda _: self._menu.close())
        keys.add("c-c", filter=typing)(lambda _: self._empty_or_leave())
        keys.add("<sigint>")(lambda _: self._empty_or_leave())
        keys.add("c-d", filter=typing & empty)(lambda _: self._carry_out("/exit"))
        keys.add("c-l", eager=True)(lambda _: self._redraw())
        keys.add("c-z", eager=True)(lambda event: self._terminal.suspend(event.app))
        keys.add(Keys.BracketedPaste, filter=typing, eager=True)(lambda event: self._take_paste(event.data))
        return keys

    def _take(self) -> None:
        """Carry out the line, or say all of them if there are more; what is not taken stays."""
        lines = self._buffer.text.split("\n")
        taken = self._carry_out(lines[0]) if len(lines) == 1 else self._say([as_said(line) for line in lines])
        if taken:
            self._menu.close()
            self._buffer.reset(append_to_history=True)
            self._buffer.load_history_if_not_yet_loaded()  # not only when it is drawn: Up may be pressed before

    def _carry_out(self, line: str) -> bool:
        try:
            stays = self._handler.handle_line(line)
        except InputRejectedError:
            return False
        if not stays:
            self.app.exit()
        return True

    def _say(self, lines: Sequence[str]) -> bool:
        try:
            self._handler.handle_paste(lines)
        except InputRejectedError:
            return False
        return True

    def _empty_or_leave(self) -> None:
        self._menu.close()
        if self._buffer.text:
            self._buffer.reset()
        else:
            self._carry_out("/exit")

    # ------------------------------------------------------------------------------------------------ what is pasted

    def _take_paste(self, text: str) -> None:
        """Put what was pasted into the line, or ask first if it is much."""
        lines = [*self._paste, *pasted_lines(text)]
        if len(lines) > PASTE_LINES:
            self._paste = lines
        elif lines:
            self._insert(lines)

    def _insert(self, lines: Sequence[str]) -> None:
        first = lines[0] if self._buffer.document.current_line_before_cursor else as_text(lines[0])
        self._buffer.insert_text("\n".join([first, *map(as_text, lines[1:])]))

    def _answers(self) -> KeyBindings:
        """Return the keys that answer the question about what was pasted; no other does anything meanwhile."""
        keys = KeyBindings()
        keys.add(Keys.Any, filter=self._asks, eager=True)(lambda _: None)
        keys.add(Keys.BracketedPaste, filter=self._asks, eager=True)(lambda event: self._take_paste(event.data))
        for names, answer in (("sS", self._send), ("eE", self._edit), (("c", "C", "escape", "c-c"), self._drop)):
            for name in names:
                keys.add(name, filter=self._asks, eager=True)(_answering(answer))
        return keys

    def _send(self) -> None:
        lines, self._paste = self._paste, []
        if not self._say(lines):
            self._insert(lines)

    def _edit(self) -> None:
        lines, self._paste = self._paste, []
        self._insert(lines)

    def _drop(self) -> None:
        self._paste = []


def _answering(answer: Callable[[], None]) -> Callable[[KeyPressEvent], None]:
    return lambda _: answer()
