"""The user interface of a terminal: a line editor, with the lines of the chat above it.

The editor's own event loop, in the main thread, writes the lines of the chat: it erases the prompt, writes, and draws
the prompt again, in raw mode and in one frame. `prompt_toolkit.patch_stdout` would leave raw mode for each write, and
the terminal would echo keys into the text. It would also write in a third thread, whose last lines can be lost at the
end of the loop.

The prompt stays open from the first line to the last, whatever happens to the connection. With a new prompt for each
line, the terminal would echo the keys that are typed between two prompts.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.history import History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from hubbub.client.output.styled_line import StyledLine
from hubbub.client.output.ui import LineHandler, StoppedError
from hubbub.client.state.notification import Notification
from hubbub.client.terminal.editor import Editor
from hubbub.client.terminal.notifier import Notifier
from hubbub.client.terminal.renderer import Renderer
from hubbub.client.terminal.transcript import Transcript
from hubbub.client.terminal.tty import Terminal
from hubbub.color import Palette

FRAME_SECONDS = 0.01  # between two writes: not noticeable, and in a flood of lines there is time for the keyboard
BATCH_SECONDS = 0.01  # of work for one write: a key that is pressed meanwhile waits for so long
MAX_PENDING = 400  # notifications, before `show` makes the socket thread wait: more would delay the keys

T = TypeVar("T")


class Screen:
    """A user interface with a line editor. Only the main thread reads and writes the terminal."""

    is_interactive = True

    def __init__(self, palette: Palette, history: History | None = None) -> None:
        """Use `palette`, adapted to the background that the terminal reports, and the lines in `history`."""
        self._history = history or InMemoryHistory()
        self._main_thread = threading.get_ident()
        # For the main thread only:
        self._terminal = Terminal(palette, self._on_focus)
        self._transcript = Transcript()
        self._notifier = Notifier()
        self._renderer = Renderer(self._terminal)
        self._flush_timer: asyncio.TimerHandle | None = None  # of the transcript
        # Guards everything below; it is not held during I/O.
        self._changed = threading.Condition()
        self._pending: deque[Notification] = deque()
        self._scheduled = False  # whether the loop is going to write the pending notifications
        self._stopped = False
        self._app: Application[Any] | None = None  # of the open prompt; set together with the loop
        self._loop: asyncio.AbstractEventLoop | None = None

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return the answer to `prompt`; a `secret` answer is shown as stars.

        Raises EOFError when the user leaves, and StoppedError.
        """
        self._terminal.acquire()
        session = PromptSession[str](
            prompt,
            input=self._terminal.input,
            output=self._terminal.output,
            color_depth=self._terminal.color_depth,
            key_bindings=_prompt_keys(self._terminal),
            is_password=secret,
        )
        return self._run(session.app)

    def show_line(self, line: StyledLine) -> None:
        """Show a line that belongs to a prompt, below all earlier notifications."""
        self._terminal.acquire()
        while self._write_batch():
            pass
        self._renderer.add(line)
        self._renderer.write()

    def read_lines(self, handler: LineHandler) -> None:
        """Pass every typed line to `handler`, in the event loop, until the user leaves or the terminal is lost.

        Ctrl-D, and Ctrl-C twice, on an empty line are the command `/exit`. Raises StoppedError.
        """
        self._terminal.acquire()
        notifier = self._notifier
        editor = Editor(handler, self._terminal, self._history, lambda: notifier.mentions, self._renderer.redraw)
        editor.app.key_processor.before_key_press += lambda _: notifier.on_key()
        editor.app.before_render += lambda _: self._terminal.set_title(notifier.title(editor.status.room))
        try:
            self._run(editor.app)
        except EOFError:
            return

    def refresh(self) -> None:
        """Draw the prompt and the status line again soon. Any thread may call it."""
        with self._changed:
            if self._app is not None:
                self._app.invalidate()

    def show(self, notification: Notification) -> None:
        """Show `notification` above the prompt, or before the next one. Waits in all threads but the main one."""
        with self._changed:
            if threading.get_ident() != self._main_thread:
                self._changed.wait_for(lambda: len(self._pending) < MAX_PENDING or self._stopped)
            self._pending.append(notification)
            self._schedule()

    def clear(self) -> None:
        """Clear the screen and the scrollback."""
        self._renderer.clear()

    def stop(self) -> None:
        """End `ask` and `read_lines` through their event loop, now and from now on. Any thread may call it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._end_prompt)

    def close(self) -> None:
        """Show what is pending and restore the terminal."""
        try:
            while self._write_batch():
                pass
            self._add(self._transcript.flush(math.inf))
            self._renderer.write()
        finally:
            self._terminal.restore()

    # -------------------------------------------------------------------------------------------- the event loop

    def _run(self, app: Application[T]) -> T:
        return asyncio.run(self._run_prompt(app))

    async def _run_prompt(self, app: Application[T]) -> T:
        self._renderer.attach_prompt(app)
        try:
            # Without prompt_toolkit's exception handler, which would wait for a key in raw mode.
            return await app.run_async(pre_run=lambda: self._on_open(app), set_exception_handler=False)
        finally:
            self._renderer.detach_prompt()
            with self._changed:
                self._app = self._loop = None
                self._scheduled = False

    def _on_open(self, app: Application[Any]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_error)
        with self._changed:
            self._app, self._loop = app, loop
            self._schedule()
            stopped = self._stopped
        if stopped:
            self._end_prompt()

    def _end_prompt(self) -> None:
        if self._app is not None and not self._app.is_done:
            self._app.exit(exception=StoppedError())

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the prompt with an error that was raised in the event loop."""
        error = context.get("exception")
        if isinstance(error, Exception) and self._app is not None and not self._app.is_done:
            self._app.exit(exception=error)
        else:
            loop.default_exception_handler(context)

    def _schedule(self) -> None:
        """Make the loop write the pending notifications. The lock is held."""
        if self._pending and self._loop is not None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._loop.call_later, FRAME_SECONDS, self._write_scheduled)

    # ---------------------------------------------------------------------------------------------- what is shown

    def _write_scheduled(self) -> None:
        self._write_batch()
        with self._changed:
            self._scheduled = False
            self._schedule()

    def _write_batch(self) -> bool:
        """Write pending notifications for BATCH_SECONDS, above the prompt if one is open; False if there were none."""
        now = time.monotonic()
        end = now + BATCH_SECONDS
        found = bell = False
        while now < end and (notification := self._next()) is not None:
            self._add(self._transcript.add(notification, now))
            bell = self._notifier.count(notification) or bell
            found = True
            now = time.monotonic()
        with self._changed:
            self._changed.notify_all()
        self._renderer.write(bell=bell)
        self._flush_later()
        return found

    def _add(self, lines: Iterable[StyledLine]) -> None:
        for line in lines:
            self._renderer.add(line)

    def _next(self) -> Notification | None:
        with self._changed:
            return self._pending.popleft() if self._pending else None

    def _flush_later(self) -> None:
        """Write the lines that the transcript holds when they are due."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        due = self._transcript.due
        if due is not None and self._loop is not None:
            self._flush_timer = self._loop.call_later(due - time.monotonic(), self._write_due)

    def _write_due(self) -> None:
        self._add(self._transcript.flush(time.monotonic()))
        self._renderer.write()
        self._flush_later()

    def _on_focus(self, focused: bool) -> None:
        self._notifier.set_focus(focused)
        if focused:
            self._transcript.on_focus_gained()
        else:
            self._transcript.on_focus_lost()
        self.refresh()


def _prompt_keys(terminal: Terminal) -> KeyBindings:
    """Return key bindings: Ctrl-C clears the line, or leaves as Ctrl-D does if it is empty; Ctrl-Z suspends."""
    keys = KeyBindings()
    keys.add("c-z")(lambda event: terminal.suspend(event.app))

    @keys.add("c-c")
    @keys.add("<sigint>")
    def clear_or_leave(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError)

    return keys
