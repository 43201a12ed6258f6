"""The renderer of the lines above the prompt. For the main thread."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size

from hubbub import color
from hubbub.client.output.styled_line import StyledLine
from hubbub.client.terminal.tty import Terminal

RESIZE_SECONDS = 0.01  # from a resize to the redraw: a window that is dragged changes its size many times
STORED_LINES = 500  # for a redraw after a resize: more than the highest screen shows


class Renderer:
    """Writes lines on `terminal`, above the prompt if one is open, in one frame with the redrawn prompt."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._lines: deque[StyledLine] = deque(maxlen=STORED_LINES)
        self._unwritten: list[str] = []  # rows that were added since the last `write`
        self._app: Application[Any] | None = None  # the prompt
        self._size: Size | None = None  # of the terminal, when the prompt was last drawn
        self._resize: asyncio.TimerHandle | None = None

    def attach_prompt(self, app: Application[Any]) -> None:
        """Draw lines above the prompt `app`, within its event loop, until `detach_prompt`."""
        self._app = app
        app.before_render += lambda _: self._begin_frame(app)
        app.after_render += lambda _: self._terminal.end_frame()

    def detach_prompt(self) -> None:
        """Draw lines without a prompt, outside of an event loop."""
        self._app = self._resize = None

    def add(self, line: StyledLine) -> None:
        """Add `line` below the others; `write` shows it."""
        self._lines.append(line)
        self._unwritten += self._terminal.wrap(line)

    def write(self, *, bell: bool = False) -> None:
        """Show the lines that were added, and ring the `bell`."""
        rows, self._unwritten = self._unwritten, []
        if rows or bell:
            with self._above_prompt():
                self._terminal.output.write_raw(_join(rows) + (color.BELL if bell else ""))

    def clear(self) -> None:
        """Clear the screen and the scrollback."""
        self._lines.clear()
        with self._above_prompt():
            self._terminal.output.write_raw(color.CLEAR_ALL)

    def redraw(self) -> None:
        """Draw the screen again: as many of the last lines as fit above the prompt, wrapped to its width."""
        self._resize = None
        if self._app is None:
            return
        height = max(0, self._app.output.get_size().rows - _prompt_height(self._app))
        rows: deque[str] = deque(maxlen=height)
        for line in reversed(self._lines):
            if len(rows) == height:
                break
            for row in reversed(self._terminal.wrap(line)[-(height - len(rows)) :]):
                rows.appendleft(row)
        with self._above_prompt():
            self._terminal.output.write_raw(color.CLEAR_SCREEN + _join(rows))

    @contextmanager
    def _above_prompt(self) -> Iterator[None]:
        """Erase the prompt, let the caller write, and draw the prompt again, all in one frame."""
        self._terminal.begin_frame()
        if self._app is None:
            yield
            self._terminal.end_frame()
            return
        self._app.renderer.erase()
        yield
        self._app.invalidate()  # the frame ends when the prompt is drawn

    def _begin_frame(self, app: Application[Any]) -> None:
        self._terminal.begin_frame()
        size, before = app.output.get_size(), app.renderer.last_rendered_screen
        if self._size not in (None, size):
            self._resize = self._resize or asyncio.get_running_loop().call_later(RESIZE_SECONDS, self.redraw)
        elif before is not None and _prompt_height(app) < before.height:
            app.renderer.erase()  # or the editor would leave empty the rows that it needs no more
        self._size = size


def _join(rows: Sequence[str]) -> str:
    return "".join(f"{row}\r\n" for row in rows)


def _prompt_height(app: Application[Any]) -> int:
    """Return how many rows the prompt needs."""
    size = app.output.get_size()
    return min(app.layout.container.preferred_height(size.columns, size.rows).preferred, size.rows)
