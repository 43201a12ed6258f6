"""Validation of names, rooms, colours, texts, numbers and durations, and their normal forms."""

import re
import unicodedata
import zlib

import wcwidth

from hubbub.protocol.errors import ProtocolError
from hubbub.protocol.lines import ENCODING_ERRORS, TEXT_CHARS, clean

NAME_COLUMNS = 20  # terminal columns of a name
ROOM_COLUMNS = 32  # terminal columns of a room's name
MARKS_PER_LETTER = 2  # combining marks: Thai needs two; without a limit one column could hold thousands
CHARS_PER_COLUMN = 8  # before NFKC, whose time grows with the square of a run of marks
DURATION_SECONDS_MAX = 365 * 86_400  # of a ban or a mute
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
NUMBER_DIGITS = 15  # below 2**53: the numbers of every programming language can hold it
LOBBY = "lobby"
RESERVED_NAMES = frozenset({"server", "system", "everyone"})
COLORS = (
    "black",
    "white",
    "pink",
    "red",
    "orange",
    "yellow",
    "green",
    "cyan",
    "teal",
    "light-blue",
    "blue",
    "purple",
)


# Letters and marks that show nothing, so that two names could look the same: the letters and marks that Unicode's
# DerivedCoreProperties.txt lists as Default_Ignorable_Code_Point.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def _check_word(text: str, columns: int, what: str) -> str:
    """Return `text` normalised, or raise: letters and digits of any script, `_`, `-`, `.`, within `columns`."""
    code, rule = f"{what}-invalid", f"Choose 1-{columns} letters, digits, _ - or . (no spaces)"
    if not text:
        raise ProtocolError(code, rule)
    if len(text) > columns * CHARS_PER_COLUMN:
        raise ProtocolError(code, f"{rule}; this one is too long")
    word = unicodedata.normalize("NFKC", text)
    marks, letter = 0, " "
    for position, char in enumerate(word):
        category = "" if _INVISIBLE.match(char) else unicodedata.category(char)
        if category.startswith("M") and _is_written_on(char, letter):
            marks += 1
        else:
            marks, letter = 0, char
        alphanumeric = category.startswith("L") or category == "Nd"
        # A letter that takes no column (the Hangul fillers) cannot be seen.
        visible = alphanumeric and wcwidth.wcwidth(char) > 0
        if position == 0 and not visible:
            raise ProtocolError(code, f"a {what} starts with a letter or a digit")
        if not (visible or char in "_-." or 0 < marks <= MARKS_PER_LETTER):
            raise ProtocolError(code, rule)
    if wcwidth.wcswidth(word) > columns:
        raise ProtocolError(code, f"{rule}; this one is too long")
    return word


def _is_written_on(mark: str, letter: str) -> bool:
    """Return whether a mark belongs to the script of the letter, or to all scripts: many fonts do not show others."""
    script = unicodedata.name(mark, "").partition(" ")[0]
    return script in ("COMBINING", unicodedata.name(letter, "").partition(" ")[0])


def check_name(text: str) -> str:
    """Return `text` as a name, normalised. Raises ProtocolError `name-invalid`; its text says what is allowed."""
    name = _check_word(text, NAME_COLUMNS, "name")
    if fold_name(name) in RESERVED_NAMES:
        raise ProtocolError("name-invalid", f"the name {name} is reserved; choose another")
    return name


def check_room(text: str) -> str:
    """Return `text` as the name of a room, normalised; `#ops` is `ops`. Raises ProtocolError `room-invalid`."""
    return _check_word(text.removeprefix("#"), ROOM_COLUMNS, "room")


def check_color(text: str) -> str:
    """Return `text` as a colour; `Light Blue` is `light-blue`. Raises ProtocolError `color-unknown`."""
    color = "-".join(text.lower().split())
    if color not in COLORS:
        raise ProtocolError("color-unknown", f"choose one of these colours: {', '.join(COLORS)}")
    return color


def check_text(text: str) -> str:
    """Return `text`. Raises ProtocolError `text-too-long`: the server refuses a long message, and never cuts it."""
    if len(text) > TEXT_CHARS:
        raise ProtocolError(
            "text-too-long",
            f"a message has at most {TEXT_CHARS} characters and this one has {len(text)}; send it in parts",
        )
    return text


def clean_password(text: str) -> str:
    """Return a password as it arrives after `/pass`: clean, and without spaces around it."""
    return clean(text).strip(" ")


def fold_name(word: str) -> str:
    """Return the form in which names, and rooms, are compared: NFKC and case folding."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())


def is_number(text: str) -> bool:
    """Return whether `text` is a whole number of at most 15 digits from 0 to 9."""
    return text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS


def parse_duration(text: str) -> int:
    """Return the seconds of a time like `90s`, `30m`, `2h` or `7d`. Raises ValueError."""
    number, unit = text[:-1], _UNIT_SECONDS.get(text[-1:])
    if unit is None or not is_number(number):
        raise ValueError(f"{text!r} is not a time like 90s, 30m, 2h or 7d")
    return int(number) * unit


def check_duration(text: str) -> int:
    """Return `text` in seconds. Raises ProtocolError `argument-invalid`; its text says what is allowed."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= DURATION_SECONDS_MAX:
        days = DURATION_SECONDS_MAX // 86_400
        raise ProtocolError("argument-invalid", f"DURATION is a time like 90s, 30m, 2h or 7d, from 1s to {days}d")
    return seconds


def default_color(name: str) -> str:
    """Return the colour of a member who chose none: always the same for a name, and never black or white."""
    colors = COLORS[2:]
    return colors[zlib.crc32(fold_name(name).encode("utf-8", ENCODING_ERRORS)) % len(colors)]
