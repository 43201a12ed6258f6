"""What is typed into a POSIX terminal, without what the terminal itself says. For the main thread."""

import os
from collections.abc import Callable
from typing import TextIO

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.input.posix_utils import PosixStdinReader
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from hubbub.color import FOCUS_IN, FOCUS_OUT, split_responses

CHUNK_BYTES = 1_024  # of one read: keys are seen to in between
TYPED_CHARS = 2  # of what may be the start of an answer: Esc, or Alt and a bracket; the terminal alone sends more

# The parser has to know them, or it would take them for Esc and letters.
ANSI_SEQUENCES[FOCUS_IN] = ANSI_SEQUENCES[FOCUS_OUT] = Keys.Ignore


class _Reader(PosixStdinReader):
    """Reads what is typed, and knows when the terminal is gone."""

    def __init__(self, stdin: TextIO, on_answer: Callable[[str], None]) -> None:
        super().__init__(stdin.fileno(), encoding=stdin.encoding)
        self._on_answer = on_answer
        self._rest = ""  # the start of an answer, or so it seems

    def read(self, count: int = CHUNK_BYTES) -> str:
        """Return what is there to be read, and at the end nothing, being `closed` then."""
        keys, answers, self._rest = split_responses(self._rest + self._read(count))
        for answer in answers:
            self._on_answer(answer)
        return keys

    def typed(self) -> str:
        """Return what seemed to start an answer, if nothing has followed because somebody typed it."""
        if len(self._rest) > TYPED_CHARS:
            return ""
        keys, self._rest = self._rest, ""
        return keys

    def _read(self, count: int) -> str:
        try:
            data = os.read(self.stdin_fd, count)
        except (BlockingIOError, InterruptedError):
            return ""
        except OSError:  # the terminal is gone; the base class would be told so for ever
            data = b""
        self.closed = not data
        return self._stdin_decoder.decode(data)


class Keyboard(Vt100Input):
    """The keys of a terminal. `on_answer` gets what it answers, `on_focus` whether it has the focus now."""

    def __init__(self, stdin: TextIO, on_answer: Callable[[str], None], on_focus: Callable[[bool], None]) -> None:
        super().__init__(stdin)
        self._reader = _Reader(stdin, on_answer)
        self.stdin_reader = self._reader
        self._on_focus = on_focus

    def read_keys(self) -> list[KeyPress]:
        """Return the keys that were pressed. Never waits."""
        return self._keys(super().read_keys())

    def flush_keys(self) -> list[KeyPress]:
        """Return the keys that could have become others, and did not."""
        self.vt100_parser.feed(self._reader.typed())
        return self._keys(super().flush_keys())

    def _keys(self, presses: list[KeyPress]) -> list[KeyPress]:
        """Return `presses` without the changes of the focus, and tell of these."""
        for press in presses:
            if press.data in (FOCUS_IN, FOCUS_OUT):
                self._on_focus(press.data == FOCUS_IN)
        return [press for press in presses if press.data not in (FOCUS_IN, FOCUS_OUT)]
