"""Confusable names: names that look the same, by Unicode UTS #39 and by the letters of monospaced fonts.

Two names are confusable if they share a skeleton. A name has a skeleton for each of its usual spellings, because names
ignore case: `КІМ` in Cyrillic letters looks like `KIM`, which is `kim`. Skeletons are for comparison only and never
shown.
"""

import re
from collections.abc import Iterable, Iterator
from unicodedata import combining, normalize

from hubbub.protocol import fold_name
from hubbub.server.access.confusable_letters import LOOKALIKES

_DOT_ABOVE = "\u0307"
_SOFT_DOTTED = frozenset("ij\u029d\u1d96")  # prototypes with a dot, which shows the same with U+0307
_WORDS = re.compile("[^-_.]+")  # of a name


def _load_prototypes() -> dict[int, str]:
    """Return the prototype of each character, as a table for `str.translate`."""
    prototypes = {}
    for line in LOOKALIKES.split("\n"):
        prototype, _, letters = line.partition(" ")
        for letter in letters.split():
            prototypes[int(letter, 16)] = "".join(chr(int(code, 16)) for code in prototype.split("+"))
    return prototypes


_PROTOTYPES = _load_prototypes()


def skeleton(text: str) -> str:
    """Return the UTS #39 skeleton of `text`, which must contain no invisible characters."""
    letters = normalize("NFD", normalize("NFD", text).translate(_PROTOTYPES))
    return "".join(_drop_second_dots(letters)) if _DOT_ABOVE in letters else letters


def _drop_second_dots(letters: str) -> Iterator[str]:
    base = ""
    for char in letters:
        if not combining(char):
            base = char
        if char != _DOT_ABOVE or base not in _SOFT_DOTTED:
            yield char


def skeletons_of(name: str) -> frozenset[str]:
    """Return the skeletons of a name as it is written, in lower case, in upper case and with capitals."""
    lower = fold_name(name)
    capitals = _WORDS.sub(lambda word: word[0].capitalize(), lower)
    return frozenset(skeleton(normalize("NFKC", spelling)) for spelling in (name, lower, lower.upper(), capitals))


class ConfusableIndex:
    """Names by their skeletons, each with its owner. Not thread-safe: the caller holds a lock.

    Names of several owners may be confusable: they were given before the list of letters had their letters, or on two
    servers at once. Each counts until it is removed.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        """Add the names `reserved`, with which every other name is compared and which no owner can remove."""
        self._by_skeleton: dict[str, tuple[tuple[str, object], ...]] = {}
        for name in reserved:
            self.add(name, self)

    def add(self, name: str, owner: object) -> None:
        """Add a name of `owner`."""
        added = ((name, owner),)
        for key in skeletons_of(name):
            others = self._by_skeleton.get(key)
            self._by_skeleton[key] = others + added if others else added

    def remove(self, name: str, owner: object) -> None:
        """Remove a name of `owner`, in the spelling in which it was added."""
        for key in skeletons_of(name):
            entries = self._by_skeleton.pop(key, ())
            if left := tuple(entry for entry in entries if entry[0] != name or entry[1] is not owner):
                self._by_skeleton[key] = left

    def find_confusable(self, name: str, owner: object = None) -> str:
        """Return a name of another owner than `owner` that is confusable with `name`; empty if there is none."""
        for key in skeletons_of(name):
            for other, other_owner in self._by_skeleton.get(key, ()):
                if other_owner is not owner:
                    return other
        return ""
