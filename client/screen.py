"""The line editor of a real terminal, with what arrives above it.

What arrives is written by the editor's own event loop, in the main thread: it takes the prompt away, writes and draws
the prompt again, all in raw mode. `prompt_toolkit.patch_stdout` would leave raw mode for each write, where the terminal
itself echoes what is typed at that moment into the text, and would write in a third thread, whose last lines can miss
the end of the loop.

The prompt of a chat stays open from the first line to the last, whatever becomes of the connection. Were it opened for
each line, the terminal would echo what is typed between two of them.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application, get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus, is_done
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import ConditionalContainer, FormattedTextControl, HSplit, Window
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Attrs

import color
from client.console import NotTakenError, StoppedError
from client.status import Status
from protocol import COMMANDS

FRAME_SECONDS = 0.01  # between two writes: nobody sees it, and a flood leaves time for the keyboard
REFRESH_SECONDS = 0.5  # between two looks at the status, which counts seconds
PENDING_LINES = 1_000  # not yet written, before `show` makes the socket thread wait: a few screens


class CommandCompleter(Completer):
    """Completes the word of a command."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield the commands that start with what is typed so far."""
        typed = document.text_before_cursor
        if typed.startswith("/"):
            for word in COMMANDS:
                if f"/{word}".startswith(typed):
                    yield Completion(f"/{word} ", start_position=-len(typed), display=f"/{word}")


class _Uncolored(Vt100_Output):
    """A terminal that is never told of a colour, nor to go back to its own."""

    def reset_attributes(self) -> None:
        """Do nothing."""

    def set_attributes(self, attrs: Attrs, color_depth: ColorDepth) -> None:
        """Do nothing."""


def _open_output(*, colored: bool) -> Output:
    if sys.platform == "win32":
        return create_output()
    output = (Vt100_Output if colored else _Uncolored).from_pty(sys.stdout)
    # Nothing here needs to know where the cursor stands, and the answer of a slow terminal would end up in the line.
    output.enable_cpr = False
    return output


class Screen:
    """A console with a line editor. The main thread alone reads and writes the terminal."""

    asks = True

    def __init__(self, *, colored: bool) -> None:
        self._output = _open_output(colored=colored)
        self._keyboard = threading.get_ident()
        # Guards everything below; nothing is read or written while it is held.
        self._changed = threading.Condition()
        self._pending: list[str] = []
        self._stopped = False
        self._app: Application[str] | None = None  # while a prompt is open, as is the loop
        self._loop: asyncio.AbstractEventLoop | None = None

    def ask(self, question: str) -> str:
        """Return what was typed. Raises EOFError when the person leaves, and StoppedError."""
        prompt = PromptSession[str](question, output=self._output, key_bindings=_leaving_keys(_end))
        return asyncio.run(self._open(prompt))

    def read_lines(self, on_line: Callable[[str], bool], status: Callable[[], Status]) -> None:
        """Hand every line typed to `on_line`, in the event loop, until that returns False.

        Who presses Ctrl-D, or Ctrl-C, on an empty line types `/exit`. Raises StoppedError.
        """
        prompt = PromptSession[str](
            lambda: ANSI(_prompt_text(status())),
            output=self._output,
            key_bindings=_line_keys(on_line),
            completer=CommandCompleter(),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            erase_when_done=True,
            refresh_interval=REFRESH_SECONDS,
        )
        _add_status_line(prompt, status)
        prompt.app.before_render += _give_rows_back
        try:
            asyncio.run(self._open(prompt))
        except EOFError:
            return

    def refresh(self) -> None:
        """Draw the prompt and the status line again, soon. Any thread may call it."""
        with self._changed:
            if self._app is not None:
                self._app.invalidate()

    def show(self, line: str, *, aside: bool = False) -> None:  # noqa: ARG002 (a terminal has one place to show)
        """Show `line` above the prompt, or before the next one. Any thread but that of the keyboard may wait here."""
        with self._changed:
            if threading.get_ident() != self._keyboard:
                self._changed.wait_for(lambda: len(self._pending) < PENDING_LINES or self._stopped)
            self._pending.append(line)
            if len(self._pending) == 1 and self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.call_later, FRAME_SECONDS, self._write_pending)

    def stop(self) -> None:
        """End `ask` and `read_lines` through their event loop, now and from now on. Any thread may call it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._end_prompt)

    def close(self) -> None:
        """Write what is still to be shown."""
        self._write_pending()

    # ------------------------------------------------------------------------------------------------ the main thread

    async def _open(self, prompt: PromptSession[str]) -> str:
        try:
            return await prompt.prompt_async(pre_run=lambda: self._opened(prompt.app))
        finally:
            with self._changed:
                self._app = self._loop = None
            self._write_pending()

    def _opened(self, app: Application[str]) -> None:
        with self._changed:
            self._app, self._loop = app, asyncio.get_running_loop()
            stopped = self._stopped
        if stopped:
            self._end_prompt()
        self._write_pending()

    def _end_prompt(self) -> None:
        if self._app is not None and not self._app.is_done:
            self._app.exit(exception=StoppedError())

    def _write_pending(self) -> None:
        """Write what waits, above the prompt if one is open."""
        with self._changed:
            lines, self._pending = self._pending, []
            self._changed.notify_all()
        if not lines:
            return
        if self._app is not None:
            self._app.renderer.erase()
        self._output.write_raw("".join(f"{line}\r\n" for line in lines))
        self._output.flush()
        if self._app is not None:
            self._app.invalidate()


def _prompt_text(status: Status) -> str:
    return "".join([*(color.style("presence", row) + "\n" for row in status.unsent_rows), status.prompt])


def _add_status_line(prompt: PromptSession[str], status: Callable[[], Status]) -> None:
    """Put a row below the input line.

    The editor's own toolbar would appear only after the terminal has told where its cursor stands, which nobody asks.
    """
    text = FormattedTextControl(lambda: ANSI(color.style("presence", status().row)))
    row = ConditionalContainer(Window(text, height=1, dont_extend_height=True), ~is_done)
    layout = prompt.layout.container
    assert isinstance(layout, HSplit)  # for the type checker
    layout.children.append(row)


def _give_rows_back(app: Application[str]) -> None:
    """Start anew where the prompt needs fewer rows than before: the editor would leave them empty."""
    before, size = app.renderer.last_rendered_screen, app.output.get_size()
    needed = app.layout.container.preferred_height(size.columns, size.rows).preferred
    if before is not None and needed < before.height:
        app.renderer.erase()


def _leaving_keys(leave: Callable[[Application[str]], None]) -> KeyBindings:
    """Ctrl-C empties the line and, on an empty one, leaves as Ctrl-D does."""
    keys = KeyBindings()

    @keys.add("c-c", filter=has_focus(DEFAULT_BUFFER))  # in the search of old lines it ends the search
    @keys.add("<sigint>")
    def empty_or_leave(event: KeyPressEvent) -> None:
        if event.app.current_buffer.text:
            event.app.current_buffer.reset()
        else:
            leave(event.app)

    @keys.add("c-d", filter=has_focus(DEFAULT_BUFFER) & Condition(lambda: not get_app().current_buffer.text))
    def leave_by_key(event: KeyPressEvent) -> None:
        leave(event.app)

    return keys


def _end(app: Application[str]) -> None:
    app.exit(exception=EOFError)


def _line_keys(on_line: Callable[[str], bool]) -> KeyBindings:
    """Add to these that Enter hands over the line, or lines if they were pasted, and leaves an empty one."""

    def hand_over(app: Application[str], line: str) -> None:
        if not on_line(line):
            _end(app)

    keys = _leaving_keys(lambda app: hand_over(app, "/exit"))

    @keys.add("enter", filter=has_focus(DEFAULT_BUFFER))
    def take(event: KeyPressEvent) -> None:
        lines = event.current_buffer.text.split("\n")
        event.current_buffer.reset(append_to_history=True)
        while lines and not event.app.is_done:
            try:
                hand_over(event.app, lines[0])
            except NotTakenError:
                event.current_buffer.insert_text("\n".join(lines))
                return
            del lines[0]

    return keys
