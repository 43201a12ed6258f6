"""The terminal of this process: its modes, its background colour, and output in frames. For the main thread."""

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
from hubbub.client.terminal.grapheme_layout import PlacedGrapheme
from hubbub.client.terminal.wrap import wrap

if sys.platform != "win32":
    import termios

    from hubbub.client.terminal.keyboard import Keyboard

RESPONSE_SECONDS = 0.1  # for the terminal to report its background; a later response is used when it comes
DEFAULT_SIZE = Size(rows=24, columns=80)  # of a terminal that does not report its size

_DEPTHS = {
    None: ColorDepth.DEPTH_1_BIT,
    color.Depth.CODES_16: ColorDepth.DEPTH_4_BIT,
    color.Depth.CODES_256: ColorDepth.DEPTH_8_BIT,
    color.Depth.TRUE_COLOR: ColorDepth.DEPTH_24_BIT,
}


class _FrameOutput(Vt100_Output):
    """An output that writes a frame in one piece. Without `colored` it writes no colours and attributes."""

    def __init__(self, *, colored: bool) -> None:
        # Without cursor position requests: nothing here needs the position, and a slow response would delay the prompt.
        super().__init__(sys.stdout, _size, term=os.environ.get("TERM"), enable_cpr=False)
        self._colored = colored
        self._in_frame = False

    def begin_frame(self) -> None:
        """Buffer the output until `end_frame`. Does nothing within a frame."""
        if not self._in_frame:
            self._in_frame = True
            self.write_raw(color.BEGIN_SYNC)

    def end_frame(self) -> None:
        """Write the buffered output. Does nothing outside of a frame."""
        if self._in_frame:
            self._in_frame = False
            self.write_raw(color.END_SYNC)
            self.flush()

    def flush(self) -> None:
        """Write the buffered output, unless a frame is open. Output to a lost terminal is discarded."""
        if self._in_frame:
            return
        try:
            super().flush()
        except OSError:  # the terminal is lost, which the keyboard will report
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)

    def write(self, data: str) -> None:
        """Write `data`. A grapheme cluster gets exactly the columns reserved for it, however the terminal draws it.

        If the terminal draws it narrower, there is a gap; if wider, the text behind it covers the rest.
        """
        if not isinstance(data, PlacedGrapheme):
            super().write(data)
            return
        super().write(" " * data.columns)  # so that older text does not show in a gap
        self._move_to_column(data.column)
        super().write(data)
        self._move_to_column(data.column + data.columns)

    def _move_to_column(self, column: int) -> None:
        super().write("\r")
        self.cursor_forward(column)

    def set_attributes(self, attrs: Attrs, color_depth: ColorDepth) -> None:
        """Set the style of the following output."""
        if self._colored:
            super().set_attributes(attrs, color_depth)

    def reset_attributes(self) -> None:
        """Reset the style of the following output."""
        if self._colored:
            super().reset_attributes()

    # The editor would disable and enable it with each frame, and a paste in between would arrive as typed keys.

    def enable_bracketed_paste(self) -> None:
        """Do nothing: `set_bracketed_paste` decides."""

    def disable_bracketed_paste(self) -> None:
        """Do nothing: `set_bracketed_paste` decides."""

    def set_bracketed_paste(self, *, enabled: bool) -> None:
        """Enable or disable bracketed paste, which tells pasted text from typed keys."""
        if enabled:
            super().enable_bracketed_paste()
        else:
            super().disable_bracketed_paste()


def _size() -> Size:
    try:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
    except OSError:  # the terminal is lost
        return DEFAULT_SIZE
    return Size(rows or DEFAULT_SIZE.rows, columns or DEFAULT_SIZE.columns)


class Terminal:
    """The terminal of this process. `on_focus` is called with True or False when it gains or loses the focus.

    The `palette` changes when the terminal reports its background. Between `acquire` and `restore` the terminal does
    not echo keys; they wait for a reader of `input`.
    """

    def __init__(self, palette: color.Palette, on_focus: Callable[[bool], None]) -> None:
        self.palette = palette
        self.colored = palette.depth is not None
        self.color_depth = _DEPTHS[palette.depth]
        # The Windows console has an API instead of codes, and the Linux console prints codes that it does not know.
        self._is_xterm_like = sys.platform != "win32" and os.environ.get("TERM") != "linux"
        self._queried = not self.colored or not self._is_xterm_like
        self._responded = False
        self._acquired = False
        self._title = ""
        if sys.platform == "win32":
            self.input: Input = create_input()
            self.output: Output = create_output()
        else:
            self.input = Keyboard(sys.stdin, self._handle_response, on_focus)
            self.output = _FrameOutput(colored=self.colored)

    def acquire(self) -> None:
        """Set up the terminal for the client, if that is not done; the first time, query its background."""
        if self._acquired:
            return
        if sys.platform != "win32":
            self._settings = termios.tcgetattr(self.input.fileno())
        self._acquired = True
        if sys.platform != "win32":
            settings = _without_echo(self._settings, self.input.fileno())
            termios.tcsetattr(self.input.fileno(), termios.TCSANOW, settings)
        if self._is_xterm_like:
            self.output.write_raw(color.SAVE_TITLE + color.ENABLE_FOCUS_EVENTS)
        self._set_bracketed_paste(enabled=True)
        self.output.flush()
        if not self._queried:
            self._queried = True
            store_typeahead(self.input, self._query_background())

    def restore(self) -> None:
        """Restore the terminal as it was before `acquire`."""
        if not self._acquired:
            return
        self._acquired = False
        self.end_frame()
        self._set_bracketed_paste(enabled=False)
        if self._is_xterm_like:
            self.output.write_raw(color.DISABLE_FOCUS_EVENTS + color.RESTORE_TITLE)
            self._title = ""
        self.output.flush()
        if sys.platform != "win32":
            _apply_settings(self.input.fileno(), self._settings)

    def suspend(self, app: Application[Any]) -> None:
        """Restore the terminal, suspend this process, and show the prompt `app` again when the process continues."""
        if sys.platform == "win32":
            return
        app.renderer.erase()
        settings = termios.tcgetattr(self.input.fileno())
        self.restore()
        os.kill(0, signal.SIGTSTP)  # the whole process group, as the terminal itself does on Ctrl-Z
        self.acquire()
        termios.tcsetattr(self.input.fileno(), termios.TCSANOW, settings)
        app.invalidate()

    def begin_frame(self) -> None:
        """Buffer the output until `end_frame`."""
        if isinstance(self.output, _FrameOutput):
            self.output.begin_frame()

    def end_frame(self) -> None:
        """Write the buffered output as one frame."""
        if isinstance(self.output, _FrameOutput):
            self.output.end_frame()

    def paint(self, style: str, text: str) -> str:
        """Return `text` in `style`, in the shade that suits the background."""
        return self.palette.paint(style, text)

    def wrap(self, line: StyledLine) -> list[str]:
        """Return `line` in colour, wrapped to the width of the terminal."""
        rows = wrap(line, self.output.get_size().columns)
        return ["".join(self.palette.paint(span.style, span.text) for span in row) for row in rows]

    def set_title(self, title: str) -> None:
        """Set the title of the window."""
        if self._is_xterm_like and title != self._title:
            self._title = title
            self.output.write_raw(color.title_sequence(title))

    def _set_bracketed_paste(self, *, enabled: bool) -> None:
        if isinstance(self.output, _FrameOutput):
            self.output.set_bracketed_paste(enabled=enabled)

    def _query_background(self) -> list[KeyPress]:
        """Query the background and wait at most RESPONSE_SECONDS; return the keys that were typed meanwhile."""
        self.output.write_raw(color.QUERY_BACKGROUND)
        self.output.flush()
        deadline = time.monotonic() + RESPONSE_SECONDS
        keys: list[KeyPress] = []
        while not (self._responded or self.input.closed) and (seconds := deadline - time.monotonic()) > 0:
            if select.select([self.input.fileno()], [], [], seconds)[0]:
                keys += self.input.read_keys()
        return keys

    def _handle_response(self, response: str) -> None:
        background = color.parse_background(response)
        if background is None:  # the device attributes, which come after the background if there is one
            self._responded = True
        else:
            self.palette = color.Palette(background, self.palette.depth)


if sys.platform != "win32":
    _LOCAL_MODES, _CONTROL_CHARACTERS = 3, 6  # indexes in the list of tcgetattr

    def _without_echo(settings: list[Any], descriptor: int) -> list[Any]:
        """Return `settings` without echo and line mode. Ctrl-C still sends a signal, because keys are not always read.

        Ctrl-Z does not, because the terminal must be restored before the process stops.
        """
        changed, characters = [*settings], [*settings[_CONTROL_CHARACTERS]]
        changed[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        characters[termios.VSUSP] = bytes([os.fpathconf(descriptor, "PC_VDISABLE")])
        changed[_CONTROL_CHARACTERS] = characters
        return changed

    def _apply_settings(descriptor: int, settings: list[Any]) -> None:
        try:
            termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        except termios.error:  # the terminal is lost
            return
