"""The line editor of a real terminal, with what arrives above it.

What arrives is written by the editor's own event loop, in the main thread: it takes the prompt away, writes and draws
the prompt again, all in raw mode. `prompt_toolkit.patch_stdout` would leave raw mode for each write, where the terminal
itself echoes what is typed at that moment into the text, and would write in a third thread, whose last lines can miss
the end of the loop.

The prompt of a chat stays open from the first line to the last. Were it opened for each line, the terminal would echo
what is typed between two of them.
"""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Attrs

from client.console import StoppedError
from protocol import COMMANDS

FRAME_SECONDS = 0.01  # between two writes: nobody sees it, and a flood leaves time for the keyboard
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
        self._room = ""
        self._stopped = False
        self._app: Application[str] | None = None  # while a prompt is open, as is the loop
        self._loop: asyncio.AbstractEventLoop | None = None

    def ask(self, question: str) -> str:
        """Return what was typed. Raises EOFError when the person leaves, and StoppedError."""
        prompt = PromptSession[str](question, output=self._output, key_bindings=_leaving_keys())
        return asyncio.run(self._open(prompt))

    def read_lines(self, on_line: Callable[[str], bool]) -> None:
        """Hand every line typed to `on_line`, in the event loop, until that returns False or the person leaves.

        Raises StoppedError.
        """
        prompt = PromptSession[str](
            self._prompt_text,
            output=self._output,
            key_bindings=_line_keys(on_line),
            completer=CommandCompleter(),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            erase_when_done=True,
        )
        try:
            asyncio.run(self._open(prompt))
        except EOFError:
            return

    def enter(self, room: str) -> None:
        """Name `room` in the prompt, from the next time it is drawn. Any thread may call it."""
        with self._changed:
            self._room = room

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

    def _prompt_text(self) -> str:
        with self._changed:
            return f"{self._room}> "

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


def _leaving_keys() -> KeyBindings:
    """Ctrl-C empties the line and, on an empty one, leaves as Ctrl-D does."""
    keys = KeyBindings()

    @keys.add("c-c", filter=has_focus(DEFAULT_BUFFER))  # in the search of old lines it ends the search
    @keys.add("<sigint>")
    def empty_or_leave(event: KeyPressEvent) -> None:
        if event.app.current_buffer.text:
            event.app.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError)

    return keys


def _line_keys(on_line: Callable[[str], bool]) -> KeyBindings:
    """Add to these that Enter hands over the line, or lines if they were pasted, and leaves an empty one."""
    keys = _leaving_keys()

    @keys.add("enter", filter=has_focus(DEFAULT_BUFFER))
    def take(event: KeyPressEvent) -> None:
        text = event.current_buffer.text
        event.current_buffer.reset(append_to_history=True)
        if not all(on_line(line) for line in text.split("\n")):
            event.app.exit(exception=EOFError)

    return keys
