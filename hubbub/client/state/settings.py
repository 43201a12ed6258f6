"""The settings that the client stores from one run to the next. For the main thread.

Two clients of one user may run at once. Each reads the settings again before it changes them, under a file lock where
the system has one, and changes only its own part. A file that cannot be read or parsed is never overwritten.
"""

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hubbub.client.network.address import parse_addresses
from hubbub.client.state.private_files import locked, make_folder, open_private, replace_private, resolve_links
from hubbub.protocol import CHARS_PER_COLUMN, ROOM_COLUMNS, ProtocolError, check_color, check_name, clean, fold_name

SETTINGS_FILE = "settings.json"
SETTINGS_BYTES = 1_048_576  # far more than the limits below allow; a larger file is not ours
IGNORED_MAX = 1_000  # names: more than a user ignores by hand
NOTIFY_MAX = 1_000  # rooms: more than a user visits; beyond that the oldest choice is dropped
ROOM_KEY_CHARS = 3 * ROOM_COLUMNS * CHARS_PER_COLUMN  # case folding makes up to three letters of one
SERVER_CHARS = 300  # a host name has at most 253, and a port 5
LEVELS = ("all", "mention", "off")  # which lines of a room ring


class SettingsError(Exception):
    """Something is not stored; the text says what, where and why."""


class _BrokenError(Exception):
    """Unusable settings; the text says why."""


# -------------------------------------------------------------------------------------------------------- the settings


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a user; an empty text means that nothing was chosen."""

    name: str = ""
    color: str = ""
    server: str = ""  # HOST:PORT
    ignored: tuple[str, ...] = ()  # names
    notify: Mapping[str, str] = field(default_factory=dict)  # LEVELS by the `fold_name` of the room, latest last

    def with_ignored(self, name: str) -> "Settings":
        """Return these settings with `name` ignored."""
        if fold_name(name) in map(fold_name, self.ignored):
            return self
        return dataclasses.replace(self, ignored=(*self.ignored, name))

    def without_ignored(self, name: str) -> "Settings":
        """Return these settings with `name` not ignored."""
        left = tuple(each for each in self.ignored if fold_name(each) != fold_name(name))
        return dataclasses.replace(self, ignored=left)

    def with_level(self, room: str, level: str) -> "Settings":
        """Return these settings with `level` for `room`; of more than NOTIFY_MAX rooms the oldest is dropped."""
        key = fold_name(room)
        others = [(each, chosen) for each, chosen in self.notify.items() if each != key]
        return dataclasses.replace(self, notify=dict([*others, (key, level)][-NOTIFY_MAX:]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _BrokenError("it must be a text")
    return value


def _name(value: object) -> str:
    text = _text(value)
    return check_name(text) if text else ""


def _color(value: object) -> str:
    text = _text(value)
    return check_color(text) if text else ""


def _server(value: object) -> str:
    text = _text(value)
    if not text:
        return ""
    try:
        normal = str(parse_addresses(text))
    except ValueError as error:
        raise _BrokenError(str(error)) from error
    if text != normal or len(text) > SERVER_CHARS or " " in text or clean(text) != text:
        raise _BrokenError("a server is HOST:PORT")
    return text


def _ignored(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _BrokenError("it must be a list of names")
    names: dict[str, str] = {}
    for each in value:
        name = check_name(_text(each))
        names.setdefault(fold_name(name), name)
    if len(names) > IGNORED_MAX:
        raise _BrokenError(f"at most {IGNORED_MAX} names can be ignored; /unignore one first")
    return tuple(names.values())


def _notify(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _BrokenError("it must have a level for each room")
    for room, level in value.items():
        # The key of a room may be wider than a room's name, so this cannot be protocol.check_room.
        if not 0 < len(room) <= ROOM_KEY_CHARS or " " in room or clean(room) != room:
            raise _BrokenError("this is not the name of a room")
        if level not in LEVELS:
            raise _BrokenError(f"a level is one of {', '.join(LEVELS)}")
    return dict([(fold_name(room), level) for room, level in value.items()][-NOTIFY_MAX:])


_CHECKS: Mapping[str, Callable[[object], object]] = {
    "name": _name,
    "color": _color,
    "server": _server,
    "ignored": _ignored,
    "notify": _notify,
}


def _fields(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in _CHECKS}


def _checked(document: Mapping[str, object]) -> Settings:
    """Return the settings in `document`, in their normal form. Raises _BrokenError naming the field."""
    values: dict[str, Any] = {}
    for name in (name for name in _CHECKS if name in document):
        try:
            values[name] = _CHECKS[name](document[name])
        except (_BrokenError, ProtocolError) as error:
            raise _BrokenError(f"{name}: {error.args[-1]}") from error
    return Settings(**values)


def _parsed(data: bytes) -> dict[str, object]:
    """Return the object in a file. Raises _BrokenError."""
    if len(data) > SETTINGS_BYTES:
        raise _BrokenError(f"more than {SETTINGS_BYTES} bytes")
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _BrokenError("not JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise _BrokenError("not a JSON object")
    return document


# ------------------------------------------------------------------------------------------------------------ the file


class SettingsFile:
    """The settings file in `folder`. `settings` are those of this run, stored or not."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        """`tell` shows the user, once, what happened to an unusable file."""
        self.settings = Settings()
        self._tell = tell
        self._folder = folder
        self._path = folder / SETTINGS_FILE
        self._document: dict[str, object] = {}  # as last read: a later version may have more fields
        self._unwritable = ""  # why this run must not write the file, whose content is unknown
        self._set_aside_text = ""  # what happened to a broken file, until the user is told
        # The file lacks a change of this run, so it is not read again before it is written. What another client of the
        # user stores meanwhile is then lost.
        self._has_unstored = False

    def load(self) -> Settings:
        """Read the settings, or use the defaults and tell the user why. Never raises."""
        with locked(self._folder):
            self._read()
        if self._unwritable:
            self._tell(f"your settings are neither used nor stored: {self._unwritable}")
        self._report_set_aside()
        return self.settings

    def change(self, how: Callable[[Settings], Settings]) -> Settings:
        """Replace the settings by what `how` returns for those in the file, and store them.

        Raises SettingsError: after the change if it cannot be stored, and before it if it is not valid.
        """
        with suppress(OSError):  # writing reports it
            make_folder(self._folder)
        try:
            with locked(self._folder):
                self._change(how)
        finally:  # not under the lock: showing may take a while, and another client may wait for it
            self._report_set_aside()
        return self.settings

    def _change(self, how: Callable[[Settings], Settings]) -> None:
        if not (self._has_unstored or self._unwritable):
            self._read()
        try:
            self.settings = _checked(_fields(how(self.settings)))
        except _BrokenError as error:
            raise SettingsError(f"not changed: {error}") from error
        self._has_unstored = True
        self._write()
        self._has_unstored = False

    def _read(self) -> None:
        """Read the settings from the file, if it exists and is valid."""
        try:
            with open_private(self._path) as file:
                document = _parsed(file.read(SETTINGS_BYTES + 1))
            self.settings = _checked(document)
            self._document = document
        except FileNotFoundError:
            return
        except OSError as error:
            self._unwritable = f"{self._path} cannot be read: {error.strerror}"
        except _BrokenError as error:
            self._set_aside(str(error))

    def _set_aside(self, why: str) -> None:
        path = resolve_links(self._path)
        names = itertools.chain(["broken"], (f"broken-{number}" for number in itertools.count(2)))
        free = next(aside for name in names if not os.path.lexists(aside := path.with_name(f"{path.name}.{name}")))
        try:
            path.rename(free)
        except OSError as error:
            self._unwritable = f"{self._path} is broken ({why}) and cannot be set aside: {error.strerror}"
        else:
            self._set_aside_text = f"{self._path} was broken ({why}) and is not used; {free} has its content now"

    def _report_set_aside(self) -> None:
        text, self._set_aside_text = self._set_aside_text, ""
        if text:
            self._tell(text)

    def _write(self) -> None:
        """Write the settings of this run to the file. Raises SettingsError."""
        if self._unwritable:
            raise SettingsError(f"this holds only until you leave: {self._unwritable}")
        text = json.dumps({**self._document, **_fields(self.settings)}, ensure_ascii=False, indent=2) + "\n"
        try:
            # Half a surrogate pair has no UTF-8, but with a backslash it is what JSON writes for it.
            replace_private(self._path, text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            reason = f"{self._path} cannot be written: {error.strerror}"
            raise SettingsError(f"this holds only until you leave: {reason}") from error
