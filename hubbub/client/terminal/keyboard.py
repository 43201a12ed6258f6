"""The input of a POSIX terminal: its keys, separated from its responses and focus events. For the main thread."""

import os
from collections.abc import Callable
from typing import TextIO

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.input.posix_utils import PosixStdinReader
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from hubbub.color import FOCUS_IN, FOCUS_OUT, split_responses

CHUNK_BYTES = 1_024  # of one read; the editor handles the keys of one read before the next
MAX_TYPED_START = 2  # characters that may start a response and be typed (Esc, Alt-[); only a terminal sends more

# Without these the parser would take focus events for Esc and letters.
ANSI_SEQUENCES[FOCUS_IN] = ANSI_SEQUENCES[FOCUS_OUT] = Keys.Ignore


class _Reader(PosixStdinReader):
    """A reader of the terminal that takes out responses and notices that the terminal is lost."""

    def __init__(self, stdin: TextIO, on_response: Callable[[str], None]) -> None:
        super().__init__(stdin.fileno(), encoding=stdin.encoding)
        self._on_response = on_response
        self._unfinished = ""  # what may be the start of a response

    def read(self, count: int = CHUNK_BYTES) -> str:
        """Return the input that is there, without responses. Sets `closed` at the end of the input."""
        keys, responses, self._unfinished = split_responses(self._unfinished + self._read_input(count))
        for response in responses:
            self._on_response(response)
        return keys

    def take_typed_start(self) -> str:
        """Return the start of a response that was typed, as nothing followed it."""
        if len(self._unfinished) > MAX_TYPED_START:
            return ""
        keys, self._unfinished = self._unfinished, ""
        return keys

    def _read_input(self, count: int) -> str:
        try:
            data = os.read(self.stdin_fd, count)
        except (BlockingIOError, InterruptedError):
            return ""
        except OSError:  # the terminal is lost; the base class would try again for ever
            data = b""
        self.closed = not data
        return self._stdin_decoder.decode(data)


class Keyboard(Vt100Input):
    """The keys of a terminal. `on_response` gets its responses to queries, `on_focus` whether it has the focus."""

    def __init__(self, stdin: TextIO, on_response: Callable[[str], None], on_focus: Callable[[bool], None]) -> None:
        super().__init__(stdin)
        self._reader = _Reader(stdin, on_response)
        self.stdin_reader = self._reader
        self._on_focus = on_focus

    def read_keys(self) -> list[KeyPress]:
        """Return the keys that were pressed. Never waits."""
        return self._take_focus_events(super().read_keys())

    def flush_keys(self) -> list[KeyPress]:
        """Return the keys that could have been the start of a longer sequence."""
        self.vt100_parser.feed(self._reader.take_typed_start())
        return self._take_focus_events(super().flush_keys())

    def _take_focus_events(self, presses: list[KeyPress]) -> list[KeyPress]:
        """Report the focus events in `presses` and return the other keys."""
        for press in presses:
            if press.data in (FOCUS_IN, FOCUS_OUT):
                self._on_focus(press.data == FOCUS_IN)
        return [press for press in presses if press.data not in (FOCUS_IN, FOCUS_OUT)]
