"""The input history: the lines that the user typed, in this run and earlier ones. For the main thread.

The file has the format of `prompt_toolkit.history.FileHistory`: each row of a line begins with a `+`, and any other
row separates two lines.
"""

import errno
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from prompt_toolkit.history import History

from hubbub.client.state.private_files import MODE, locked, make_folder, open_private, replace_private

HISTORY_FILE = "history"
HISTORY_LINES = 1_000  # stored: months of chat, and loaded in a few milliseconds
HISTORY_BYTES = 1_048_576  # read from the end of the file: a huge file must not delay the start
ENTRY_BYTES = 65_536  # of one line; a longer one, which was pasted, is not stored
_SEPARATOR = "\n#\n"  # starts with a line feed, because a full disk may have cut off the row before


def _may_store_any(line: str) -> bool:  # noqa: ARG001 (the signature of the predicate)
    return True


class LineHistory(History):
    """The input history in `folder`, which stores the last HISTORY_LINES lines.

    A line for which `may_store` is false is forgotten at the end of this run. If the file cannot be read or written,
    `on_error` is called once with the reason, and all further lines are forgotten at the end of this run.
    """

    def __init__(
        self, folder: Path, on_error: Callable[[str], None], may_store: Callable[[str], bool] = _may_store_any
    ) -> None:
        super().__init__()
        self._folder = folder
        self._path = folder / HISTORY_FILE
        self._on_error = on_error
        self._may_store = may_store
        self._in_memory = False

    def load_history_strings(self) -> list[str]:
        """Return all lines, the newest first. Never raises."""
        return [*self._earlier_lines, *self.get_strings()][::-1]

    def append_string(self, string: str) -> None:
        """Add a line that was typed, unless it equals the last one."""
        lines = [*self._earlier_lines, *self.get_strings()]
        if lines[-1:] != [string]:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """Append a line to the file. Never raises."""
        data = _encode(string)
        if self._in_memory or not self._may_store(string) or len(data) > ENTRY_BYTES:
            return
        try:
            make_folder(self._folder)
            with locked(self._folder):  # another client may be shortening the file
                self._append(data)
        except OSError as error:
            self._continue_in_memory(error)

    @cached_property
    def _earlier_lines(self) -> list[str]:
        """The lines of earlier runs, the oldest first. Shortens the file if it has more."""
        lines: list[str] = []
        try:
            with locked(self._folder):
                data, whole = self._read()
                lines = _decode(data)
                if len(lines) > HISTORY_LINES or not whole:
                    lines = lines[-HISTORY_LINES:]
                    replace_private(self._path, b"".join(map(_encode, lines)))
        except FileNotFoundError:
            pass
        except OSError as error:
            self._continue_in_memory(error)
        return lines

    def _read(self) -> tuple[bytes, bool]:
        """Return the end of the file, from the start of a line, and whether that is the whole file."""
        with open_private(self._path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - HISTORY_BYTES))
            data = file.read(HISTORY_BYTES)
        if size <= HISTORY_BYTES:
            return data, True
        return data.partition(b"\n#")[2], False

    def _append(self, data: bytes) -> None:
        # In one write, so that the lines of two clients are not mixed where there is no lock.
        with open(self._path, "ab", buffering=0, opener=_open) as file:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _continue_in_memory(self, error: OSError) -> None:
        if not self._in_memory:
            self._in_memory = True
            self._on_error(f"the lines that you type are not remembered: {self._path}: {error.strerror}")


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, MODE)


def _encode(line: str) -> bytes:
    rows = "".join(f"+{row}\n" for row in line.split("\n"))
    return f"{_SEPARATOR}{rows}".encode("utf-8", "replace")


def _decode(data: bytes) -> list[str]:
    """Return the lines in the data of a file, whatever else is in it."""
    lines: list[str] = []
    rows: list[str] = []
    for row in [*data.decode("utf-8", "replace").split("\n"), ""]:
        if row.startswith("+"):
            rows.append(row[1:])
        elif rows:
            lines.append("\n".join(rows))
            rows = []
    return lines
