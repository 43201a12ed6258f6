"""A real terminal: the line editor, and above it what arrives.

What arrives is written by the editor's own event loop, in the main thread: it takes the prompt away, writes and draws
the prompt again, all in raw mode and in one frame. `prompt_toolkit.patch_stdout` would leave raw mode for each write,
where the terminal itself echoes what is typed at that moment into the text, and would write in a third thread, whose
last lines can miss the end of the loop.

The prompt of a chat stays open from the first line to the last, whatever becomes of the connection. Were it opened for
each line, the terminal would echo what is typed between two of them.
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

FRAME_SECONDS = 0.01  # between two writes: nobody sees it, and a flood leaves time for the keyboard
BATCH_SECONDS = 0.01  # of work for one write: as long a key that is pressed meanwhile waits
PENDING_LINES = 400  # not yet written, before `show` makes the socket thread wait: more make a key wait longer

T = TypeVar("T")


class Screen:
    """A console with a line editor. The main thread alone reads and writes the terminal, from the first use on."""

    is_interactive = True

    def __init__(self, palette: Palette, history: History | None = None) -> None:
        """Paint from `palette`, for the background that the terminal tells, and bring back the lines in `history`."""
        self._history = history or InMemoryHistory()
        self._keyboard = threading.get_ident()
        # Of the main thread alone:
        self._terminal = Terminal(palette, self._focus)
        self._transcript = Transcript()
        self._notifier = Notifier()
        self._page = Renderer(self._terminal)
        self._flush: asyncio.TimerHandle | None = None  # of the transcript
        # Guards everything below; nothing is read or written while it is held.
        self._changed = threading.Condition()
        self._pending: deque[Notification] = deque()
        self._scheduled = False  # whether the loop will write what is pending
        self._stopped = False
        self._app: Application[Any] | None = None  # while a prompt is open, as is the loop
        self._loop: asyncio.AbstractEventLoop | None = None

    def ask(self, question: str, *, secret: bool = False) -> str:
        """Return what was typed; of what is `secret` only stars are seen.

        Raises EOFError when the person leaves, and StoppedError.
        """
        self._terminal.enter()
        prompt = PromptSession[str](
            question,
            input=self._terminal.input,
            output=self._terminal.output,
            color_depth=self._terminal.color_depth,
            key_bindings=_question_keys(self._terminal),
            is_password=secret,
        )
        return self._run(prompt.app)

    def show_line(self, line: StyledLine) -> None:
        """Show a line that belongs to a question."""
        self._terminal.enter()
        while self._write_batch():  # what was shown before
            pass
        self._page.add(line)
        self._page.write()

    def read_lines(self, handler: LineHandler) -> None:
        """Hand every line typed to `handler`, in the event loop, until the person leaves or the terminal is gone.

        Who presses Ctrl-D, or Ctrl-C, on an empty line types `/exit`. Raises StoppedError.
        """
        self._terminal.enter()
        notifier = self._notifier
        editor = Editor(handler, self._terminal, self._history, lambda: notifier.mentions, self._page.draw)
        editor.app.key_processor.before_key_press += lambda _: notifier.key()
        editor.app.before_render += lambda _: self._terminal.set_title(notifier.title(editor.status.room))
        try:
            self._run(editor.app)
        except EOFError:
            return

    def refresh(self) -> None:
        """Draw the prompt and the status line again, soon. Any thread may call it."""
        with self._changed:
            if self._app is not None:
                self._app.invalidate()

    def show(self, notification: Notification) -> None:
        """Show `notification` above the prompt, or before the next one. Any thread but the keyboard's may wait here."""
        with self._changed:
            if threading.get_ident() != self._keyboard:
                self._changed.wait_for(lambda: len(self._pending) < PENDING_LINES or self._stopped)
            self._pending.append(notification)
            self._schedule()

    def clear(self) -> None:
        """Take away what is shown, and what was."""
        self._page.clear()

    def stop(self) -> None:
        """End `ask` and `read_lines` through their event loop, now and from now on. Any thread may call it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._end_prompt)

    def close(self) -> None:
        """Write what is still to be shown, and leave the terminal as it was."""
        try:
            while self._write_batch():
                pass
            self._add(self._transcript.flush(math.inf))
            self._page.write()
        finally:
            self._terminal.leave()

    # -------------------------------------------------------------------------------------------- the event loop

    def _run(self, app: Application[T]) -> T:
        return asyncio.run(self._open(app))

    async def _open(self, app: Application[T]) -> T:
        self._page.open(app)
        try:
            # Without its own handler, which would wait for a key with the terminal in disorder.
            return await app.run_async(pre_run=lambda: self._opened(app), set_exception_handler=False)
        finally:
            self._page.close()
            with self._changed:
                self._app = self._loop = None
                self._scheduled = False

    def _opened(self, app: Application[Any]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._fail)
        with self._changed:
            self._app, self._loop = app, loop
            self._schedule()
            stopped = self._stopped
        if stopped:
            self._end_prompt()

    def _end_prompt(self) -> None:
        if self._app is not None and not self._app.is_done:
            self._app.exit(exception=StoppedError())

    def _fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the prompt with an error that happened in the loop."""
        error = context.get("exception")
        if isinstance(error, Exception) and self._app is not None and not self._app.is_done:
            self._app.exit(exception=error)
        else:
            loop.default_exception_handler(context)

    def _schedule(self) -> None:
        """Have the loop write what is pending. The lock is held."""
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
        """Write some of what waits, above the prompt if one is open; False if there was nothing."""
        now = time.monotonic()
        end = now + BATCH_SECONDS
        some = bell = False
        while now < end and (notification := self._next()) is not None:
            self._add(self._transcript.add(notification, now))
            bell = self._notifier.take(notification) or bell
            some = True
            now = time.monotonic()
        with self._changed:
            self._changed.notify_all()
        self._page.write(bell=bell)
        self._flush_later()
        return some

    def _add(self, rows: Iterable[StyledLine]) -> None:
        for row in rows:
            self._page.add(row)

    def _next(self) -> Notification | None:
        with self._changed:
            return self._pending.popleft() if self._pending else None

    def _flush_later(self) -> None:
        """Write what the transcript holds back when it is due."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        due = self._transcript.due
        if due is not None and self._loop is not None:
            self._flush = self._loop.call_later(due - time.monotonic(), self._write_due)

    def _write_due(self) -> None:
        self._add(self._transcript.flush(time.monotonic()))
        self._page.write()
        self._flush_later()

    def _focus(self, focused: bool) -> None:
        self._notifier.focus(focused)
        if focused:
            self._transcript.look_back()
        else:
            self._transcript.look_away()
        self.refresh()


def _question_keys(terminal: Terminal) -> KeyBindings:
    """Ctrl-C empties the line; on an empty one it leaves, as Ctrl-D does. Ctrl-Z suspends."""
    keys = KeyBindings()
    keys.add("c-z")(lambda event: terminal.suspend(event.app))

    @keys.add("c-c")
    @keys.add("<sigint>")
    def empty_or_leave(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError)

    return keys
