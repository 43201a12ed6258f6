"""The real terminal: its modes, its background, and frames that are written in one piece. For the main thread."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Attrs

from hubbub import color
from hubbub.client.output.styled_line import StyledLine
from hubbub.client.terminal.graphemes import Cluster
from hubbub.client.terminal.wrap import wrap

if sys.platform != "win32":
    import termios

    from hubbub.client.terminal.keyboard import Keyboard

BACKGROUND_SECONDS = 0.1  # for the terminal to tell its background; what comes later is taken then
USUAL_SIZE = Size(rows=24, columns=80)  # of a terminal that does not tell

_DEPTHS = {
    None: ColorDepth.DEPTH_1_BIT,
    color.Depth.CODES_16: ColorDepth.DEPTH_4_BIT,
    color.Depth.CODES_256: ColorDepth.DEPTH_8_BIT,
    color.Depth.TRUE_COLOR: ColorDepth.DEPTH_24_BIT,
}


class _Display(Vt100_Output):
    """Writes in one piece what comes between `hold` and `release`. Not `colored`, it is never told of a colour."""

    def __init__(self, *, colored: bool) -> None:
        # Nothing here needs to know where the cursor stands, and a slow answer would delay the first prompt.
        super().__init__(sys.stdout, _size, term=os.environ.get("TERM"), enable_cpr=False)
        self._colored = colored
        self._held = False

    def hold(self) -> None:
        """Keep what is written from now on, until `release`."""
        if not self._held:
            self._held = True
            self.write_raw(color.BEGIN_SYNC)

    def release(self) -> None:
        """Write what was kept."""
        if self._held:
            self._held = False
            self.write_raw(color.END_SYNC)
            self.flush()

    def flush(self) -> None:
        """Write what is written so far. A terminal that is gone takes nothing, which the reading notices."""
        if self._held:
            return
        try:
            super().flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)

    def write(self, data: str) -> None:
        """Write `data`. A cluster takes as many columns as were reckoned for it, however the terminal draws it.

        One that draws it narrower leaves a gap; of one that draws it wider, what follows covers the rest.
        """
        if not isinstance(data, Cluster):
            super().write(data)
            return
        super().write(" " * data.columns)  # or what stood there before would show in a gap
        self._go_to(data.column)
        super().write(data)
        self._go_to(data.column + data.columns)

    def _go_to(self, column: int) -> None:
        super().write("\r")
        self.cursor_forward(column)

    def set_attributes(self, attrs: Attrs, color_depth: ColorDepth) -> None:
        """Choose how what follows looks."""
        if self._colored:
            super().set_attributes(attrs, color_depth)

    def reset_attributes(self) -> None:
        """Let what follows look as usual."""
        if self._colored:
            super().reset_attributes()

    # The editor would turn it off and on again with each frame, and what is pasted in between would be typed.

    def enable_bracketed_paste(self) -> None:
        """Do nothing: it is on."""

    def disable_bracketed_paste(self) -> None:
        """Do nothing: it stays on."""

    def bracket_pastes(self, *, on: bool) -> None:
        """Tell what is pasted from what is typed, from now on, or no more."""
        if on:
            super().enable_bracketed_paste()
        else:
            super().disable_bracketed_paste()


def _size() -> Size:
    try:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
    except OSError:  # it is gone
        return USUAL_SIZE
    return Size(rows or USUAL_SIZE.rows, columns or USUAL_SIZE.columns)


class Terminal:
    """The terminal of this process; `on_focus` hears of its focus. Its `palette` changes when it tells its background.

    Between `enter` and `leave` it shows nothing of what is typed, and keeps it for whoever reads `input`.
    """

    def __init__(self, palette: color.Palette, on_focus: Callable[[bool], None]) -> None:
        self.palette = palette
        self.colored = palette.depth is not None
        self.color_depth = _DEPTHS[palette.depth]
        # Windows has ways of its own, and the Linux console prints what it does not understand.
        self._talks = sys.platform != "win32" and os.environ.get("TERM") != "linux"
        self._asked = not self.colored or not self._talks
        self._answered = False
        self._entered = False
        self._title = ""
        if sys.platform == "win32":
            self.input: Input = create_input()
            self.output: Output = create_output()
        else:
            self.input = Keyboard(sys.stdin, self._take_answer, on_focus)
            self.output = _Display(colored=self.colored)

    def enter(self) -> None:
        """Take the terminal, if it is not ours yet; the first time, find out its background."""
        if self._entered:
            return
        if sys.platform != "win32":
            self._settings = termios.tcgetattr(self.input.fileno())
        self._entered = True
        if sys.platform != "win32":
            termios.tcsetattr(self.input.fileno(), termios.TCSANOW, _quiet(self._settings, self.input.fileno()))
        if self._talks:
            self.output.write_raw(color.SAVE_TITLE + color.ENABLE_FOCUS_EVENTS)
        self._bracket_pastes(on=True)
        self.output.flush()
        if not self._asked:
            self._asked = True
            store_typeahead(self.input, self._ask_background())

    def leave(self) -> None:
        """Give the terminal back as it was."""
        if not self._entered:
            return
        self._entered = False
        self.release()
        self._bracket_pastes(on=False)
        if self._talks:
            self.output.write_raw(color.DISABLE_FOCUS_EVENTS + color.RESTORE_TITLE)
            self._title = ""
        self.output.flush()
        if sys.platform != "win32":
            _restore(self.input.fileno(), self._settings)

    def suspend(self, app: Application[Any]) -> None:
        """Stop this process, with the terminal as it was, and go on with the prompt `app` when the process does."""
        if sys.platform == "win32":
            return
        app.renderer.erase()
        settings = termios.tcgetattr(self.input.fileno())
        self.leave()
        os.kill(0, signal.SIGTSTP)  # with the others of a pipe, as the terminal itself would
        self.enter()
        termios.tcsetattr(self.input.fileno(), termios.TCSANOW, settings)
        app.invalidate()

    def hold(self) -> None:
        """Keep what is written from now on, until `release`."""
        if isinstance(self.output, _Display):
            self.output.hold()

    def release(self) -> None:
        """Write what was kept, as one frame."""
        if isinstance(self.output, _Display):
            self.output.release()

    def paint(self, style: str, text: str) -> str:
        """Return `text` in `style`, as it is read best on this terminal."""
        return self.palette.paint(style, text)

    def lines(self, row: StyledLine) -> list[str]:
        """Return `row` painted, in lines as wide as the terminal."""
        lines = wrap(row, self.output.get_size().columns)
        return ["".join(self.palette.paint(span.style, span.text) for span in line) for line in lines]

    def set_title(self, title: str) -> None:
        """Let the window have this title."""
        if self._talks and title != self._title:
            self._title = title
            self.output.write_raw(color.title_sequence(title))

    def _bracket_pastes(self, *, on: bool) -> None:
        if isinstance(self.output, _Display):
            self.output.bracket_pastes(on=on)

    def _ask_background(self) -> list[KeyPress]:
        """Wait for the terminal's answer, at most BACKGROUND_SECONDS; return what was typed meanwhile."""
        self.output.write_raw(color.QUERY_BACKGROUND)
        self.output.flush()
        deadline = time.monotonic() + BACKGROUND_SECONDS
        keys: list[KeyPress] = []
        while not (self._answered or self.input.closed) and (seconds := deadline - time.monotonic()) > 0:
            if select.select([self.input.fileno()], [], [], seconds)[0]:
                keys += self.input.read_keys()
        return keys

    def _take_answer(self, answer: str) -> None:
        background = color.parse_background(answer)
        if background is None:  # the last answer, after that about the background if there is one
            self._answered = True
        else:
            self.palette = color.Palette(background, self.palette.depth)


if sys.platform != "win32":
    _LOCAL, _CHARACTERS = 3, 6  # where tcgetattr has the local modes, and the special characters

    def _quiet(settings: list[Any], number: int) -> list[Any]:
        """Return `settings` without echo and lines; Ctrl-C is still a signal, for nobody reads all the time.

        Ctrl-Z is none: the terminal has to be given back before the process stops.
        """
        changed, characters = [*settings], [*settings[_CHARACTERS]]
        changed[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        characters[termios.VSUSP] = bytes([os.fpathconf(number, "PC_VDISABLE")])
        changed[_CHARACTERS] = characters
        return changed

    def _restore(number: int, settings: list[Any]) -> None:
        try:
            termios.tcsetattr(number, termios.TCSANOW, settings)
        except termios.error:  # it is gone
            return
