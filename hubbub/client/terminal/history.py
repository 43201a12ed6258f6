"""The lines that a person typed, from one run to the next. For the main thread.

The file is one that `prompt_toolkit.history.FileHistory` reads too: the rows of a line each have a `+` before them, and
any other row parts two lines.
"""

import errno
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from prompt_toolkit.history import History

from hubbub.client.state.private_files import MODE, locked, make_folder, open_private, replace_private

HISTORY_FILE = "history"
HISTORY_LINES = 1_000  # kept: months of chat, and loaded in a few milliseconds
HISTORY_BYTES = 1_048_576  # read, from the end: a file that grew beyond all measure must not delay the start
ENTRY_BYTES = 65_536  # of one line; a longer one, which was pasted, is known until the end of this run
_PARTING = "\n#\n"  # begins on a row of its own, also after a line that a full disk cut short


def keeps_all(line: str) -> bool:  # noqa: ARG001 (what a predicate is called with)
    """Say that any line may be stored."""
    return True


class LineHistory(History):
    """What was typed, in `folder`; the newest HISTORY_LINES of it are kept.

    A line for which `keeps` is false is known until the end of this run only, as is every line once the file cannot be
    read or written: then `on_trouble` is told why, once.
    """

    def __init__(
        self, folder: Path, on_trouble: Callable[[str], None], keeps: Callable[[str], bool] = keeps_all
    ) -> None:
        super().__init__()
        self._folder = folder
        self._path = folder / HISTORY_FILE
        self._on_trouble = on_trouble
        self._keeps = keeps
        self._in_memory = False

    def load_history_strings(self) -> list[str]:
        """Return all the lines, the newest first. Never raises."""
        return [*self._before, *self.get_strings()][::-1]

    def append_string(self, string: str) -> None:
        """Take a line that was typed; one that equals the last one changes nothing."""
        known = [*self._before, *self.get_strings()]
        if known[-1:] != [string]:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """Put a line at the end of the file. Never raises."""
        data = _entry(string)
        if self._in_memory or not self._keeps(string) or len(data) > ENTRY_BYTES:
            return
        try:
            make_folder(self._folder)
            with locked(self._folder):  # another client may be shortening the file
                self._append(data)
        except OSError as error:
            self._go_on_in_memory(error)

    @cached_property
    def _before(self) -> list[str]:
        """The lines of earlier runs, the oldest first. Shortens the file if it holds more."""
        lines: list[str] = []
        try:
            with locked(self._folder):
                data, whole = self._read()
                lines = _lines(data)
                if len(lines) > HISTORY_LINES or not whole:
                    lines = lines[-HISTORY_LINES:]
                    replace_private(self._path, b"".join(map(_entry, lines)))
        except FileNotFoundError:
            pass
        except OSError as error:
            self._go_on_in_memory(error)
        return lines

    def _read(self) -> tuple[bytes, bool]:
        """Return the end of the file, from the beginning of a line on, and whether that is the whole file."""
        with open_private(self._path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - HISTORY_BYTES))
            data = file.read(HISTORY_BYTES)
        if size <= HISTORY_BYTES:
            return data, True
        return data.partition(b"\n#")[2], False

    def _append(self, data: bytes) -> None:
        # In one write, so that two clients without a lock do not mix their lines.
        with open(self._path, "ab", buffering=0, opener=_open) as file:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _go_on_in_memory(self, error: OSError) -> None:
        if not self._in_memory:
            self._in_memory = True
            self._on_trouble(f"the lines that you type are not remembered: {self._path}: {error.strerror}")


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, MODE)


def _entry(line: str) -> bytes:
    rows = "".join(f"+{row}\n" for row in line.split("\n"))
    return f"{_PARTING}{rows}".encode("utf-8", "replace")


def _lines(data: bytes) -> list[str]:
    """Return the lines in a file, whatever else is in it."""
    lines: list[str] = []
    rows: list[str] = []
    for row in [*data.decode("utf-8", "replace").split("\n"), ""]:
        if row.startswith("+"):
            rows.append(row[1:])
        elif rows:
            lines.append("\n".join(rows))
            rows = []
    return lines
