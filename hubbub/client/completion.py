"""Completion of the line that is being typed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from hubbub import color
from hubbub.client.commands import COMMANDS
from hubbub.client.output.render import count_people
from hubbub.client.state.roster import Member
from hubbub.protocol import CHARS_PER_COLUMN, COLORS, ROOM_COLUMNS, Name, RoomRow, fold_name

CANDIDATES = 100  # at most: more than a user walks through, and few enough to compute at each key
SUGGESTION_CHARS = 2  # of a name in a message, before it is suggested: too many words start with one letter
WORD_CHARS = ROOM_COLUMNS * CHARS_PER_COLUMN  # nothing longer can be completed, and case folding it would be slow

# What is typed is of a kind: a placeholder in the usages of the command table, the `WORD` of the command itself, or a
# `LINE` of text.
_TO_THE_END = frozenset({"TEXT", "COLOR"})  # these may hold spaces; `light blue` does
_ROWS = {word: row for row in COMMANDS.values() for word in (row.word, *row.aliases)}
_PREFIXES = {"COMMAND": "/", "ROOM": "#"}  # these may be typed before


@dataclass(frozen=True, slots=True)
class Candidate:
    """One completion: `text` replaces what was typed of the word."""

    text: str
    label: str  # in the menu
    help: str = ""  # one line, beside it
    style: str = ""  # of the label; one of color.COLORS, or empty


@dataclass(frozen=True, slots=True)
class Completion:
    """The candidates for the last `length` characters that were typed, best first."""

    length: int = 0
    candidates: tuple[Candidate, ...] = ()
    unasked: bool = False  # shown while the user types; otherwise only after Tab


def complete(before: str, members: Sequence[Member], rooms: Sequence[RoomRow]) -> Completion:
    """Return the completions of a line after `before`, with these members and rooms in their order."""
    kind, typed = _being_typed(before)
    if kind in ("LINE", "TEXT"):
        return _complete_text(before, members, alone=kind == "LINE")
    if len(typed) > WORD_CHARS:
        return Completion()
    typed = typed.removeprefix(_PREFIXES.get(kind, ""))
    key = _key(typed)
    candidates = tuple(islice(_candidates(kind, key, members, rooms), CANDIDATES))
    # The word of a command is not whole while its arguments are missing: their names still help.
    whole = _is_whole(key, candidates, end="" if kind == "WORD" else " ")
    return _completion(typed, candidates, unasked=not whole)


def needs_rooms(before: str) -> bool:
    """Say whether a room is being typed at the end of `before`, so that `complete` needs the rooms."""
    return _being_typed(before)[0] == "ROOM"


def _complete_text(before: str, members: Sequence[Member], *, alone: bool) -> Completion:
    """Complete a name in a text that stands `alone` in the line, or follows a command."""
    word = re.split(r"\s", before)[-1]
    if not 0 < len(word) <= WORD_CHARS:
        return Completion()
    typed = word.removeprefix("@")
    key = fold_name(typed)
    end = ": " if alone and typed == before else " "
    candidates = tuple(islice(_member_candidates(key, members, end), CANDIDATES))
    is_suggested = len(typed) >= SUGGESTION_CHARS and bool(candidates) and candidates[0].text.startswith(typed)
    return _completion(typed, candidates, unasked=alone and is_suggested and not _is_whole(key, candidates))


def _being_typed(before: str) -> tuple[str, str]:
    """Return the kind of what is typed at the end of `before`, empty if unknown, and what is typed of it."""
    if not before.startswith("/") or before.startswith("//"):
        return "LINE", before
    word, space, rest = before.partition(" ")
    if not space:
        return "WORD", word
    for kind in _arguments(word):
        rest = rest.lstrip(" ")
        if kind in _TO_THE_END or " " not in rest:
            return kind, rest
        rest = rest.partition(" ")[2]
    return "", ""


def _arguments(word: str) -> list[str]:
    """Return the kinds of the arguments of the command `word`, in order."""
    row = _ROWS.get(word.removeprefix("/").lower())
    if row is None:
        return []
    kinds = [argument.strip("[]") for argument in row.arguments.split()]
    return ["", *kinds[1:]] if row.kind is Name else kinds  # a new name is not a member's


def _key(typed: str) -> str:
    """Return what the candidates for `typed` start with; only a colour may hold a space: `light blue`."""
    return fold_name("-".join(typed.split()))


def _completion(typed: str, candidates: tuple[Candidate, ...], *, unasked: bool) -> Completion:
    return Completion(len(typed), candidates, unasked) if candidates else Completion()


def _is_whole(key: str, candidates: Iterable[Candidate], end: str = " ") -> bool:
    """Say whether a candidate adds nothing to what is typed, or no more than `end`."""
    return any(fold_name(candidate.text.removesuffix(end)) == key for candidate in candidates)


def _candidates(kind: str, key: str, members: Iterable[Member], rooms: Iterable[RoomRow]) -> Iterable[Candidate]:
    match kind:
        case "WORD":
            return _command_words(key)
        case "NAME" | "NAME|ADDRESS":
            return _member_candidates(key, members, " ")
        case "ROOM":
            return _room_candidates(key, rooms)
        case "COLOR":
            return (Candidate(name, color.display_name(name), style=name) for name in COLORS if name.startswith(key))
        case "COMMAND":
            return (Candidate(word, word, row.help) for word, row in COMMANDS.items() if word.startswith(key))
    words = kind.split("|") if "|" in kind else []
    return (Candidate(word, word) for word in words if word.startswith(key))


def _command_words(key: str) -> Iterable[Candidate]:
    for word, row in COMMANDS.items():
        if f"/{word}".startswith(key):
            yield Candidate(f"/{word} " if row.arguments else f"/{word}", row.usage, row.help)


def _member_candidates(key: str, members: Iterable[Member], end: str) -> Iterable[Candidate]:
    for member in members:
        if fold_name(member.name).startswith(key):
            yield Candidate(member.name + end, member.name, style=member.color)


def _room_candidates(key: str, rooms: Iterable[RoomRow]) -> Iterable[Candidate]:
    for row in rooms:
        if fold_name(row.room).startswith(key):
            yield Candidate(row.room, row.room, _about(row))


def _about(row: RoomRow) -> str:
    """Return what the menu says about a room."""
    inside = count_people(row.people) if row.people else ""  # 0 if unknown
    return " · ".join(filter(None, (inside, "locked" if row.locked else "")))
