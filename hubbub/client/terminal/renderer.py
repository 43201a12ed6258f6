"""What stands above the prompt of a terminal. For the main thread."""

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

RESIZE_SECONDS = 0.01  # after a change of the size: a window that is dragged changes it many times
KEPT_ROWS = 500  # to draw the page again when the terminal has another size: more than the highest shows


class Renderer:
    """Writes rows on `terminal`, above the prompt if one is open, each time in one frame with the prompt."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._kept: deque[StyledLine] = deque(maxlen=KEPT_ROWS)
        self._lines: list[str] = []  # added, and not written yet
        self._app: Application[Any] | None = None  # the prompt
        self._size: Size | None = None  # of the terminal, when the prompt was last drawn
        self._resize: asyncio.TimerHandle | None = None

    def open(self, app: Application[Any]) -> None:
        """Let `app` be the prompt, from within its loop, until `close`."""
        self._app = app
        app.before_render += lambda _: self._begin_frame(app)
        app.after_render += lambda _: self._terminal.release()

    def close(self) -> None:
        """Know that the prompt is gone, and its loop."""
        self._app = self._resize = None

    def add(self, row: StyledLine) -> None:
        """Put `row` below the others, with the next `write`."""
        self._kept.append(row)
        self._lines += self._terminal.lines(row)

    def write(self, *, bell: bool = False) -> None:
        """Show what was added, and ring if there is a `bell`."""
        lines, self._lines = self._lines, []
        if lines or bell:
            with self._above_prompt():
                self._terminal.output.write_raw(_joined(lines) + (color.BELL if bell else ""))

    def clear(self) -> None:
        """Take away everything, also what has scrolled away."""
        self._kept.clear()
        with self._above_prompt():
            self._terminal.output.write_raw(color.CLEAR_ALL)

    def draw(self) -> None:
        """Draw the screen anew: as many of the last rows as fit above the prompt, wrapped for its width."""
        self._resize = None
        if self._app is None:
            return
        room = max(0, self._app.output.get_size().rows - _height(self._app))
        lines: deque[str] = deque(maxlen=room)
        for row in reversed(self._kept):
            if len(lines) == room:
                break
            for line in reversed(self._terminal.lines(row)[-(room - len(lines)) :]):
                lines.appendleft(line)
        with self._above_prompt():
            self._terminal.output.write_raw(color.CLEAR_SCREEN + _joined(lines))

    @contextmanager
    def _above_prompt(self) -> Iterator[None]:
        """Take the prompt away and draw it again after what is written meanwhile, all in one frame."""
        self._terminal.hold()
        if self._app is None:
            yield
            self._terminal.release()
            return
        self._app.renderer.erase()
        yield
        self._app.invalidate()  # the frame ends when the prompt is drawn

    def _begin_frame(self, app: Application[Any]) -> None:
        self._terminal.hold()
        size, before = app.output.get_size(), app.renderer.last_rendered_screen
        if self._size not in (None, size):
            self._resize = self._resize or asyncio.get_running_loop().call_later(RESIZE_SECONDS, self.draw)
        elif before is not None and _height(app) < before.height:
            app.renderer.erase()  # the editor would leave the rows empty that it does not need any more
        self._size = size


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _height(app: Application[Any]) -> int:
    """Return how many rows the prompt needs."""
    size = app.output.get_size()
    return min(app.layout.container.preferred_height(size.columns, size.rows).preferred, size.rows)
