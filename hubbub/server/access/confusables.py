"""Confusable names: names that look the same, by the tables of Unicode UTS #39.

The tables come from the package confusable_homoglyphs. Two names are confusable if they have the same skeleton. Names
ignore case, so a name has a skeleton for each case: `АLICE` with a Cyrillic `А` is confusable with `alice`. Skeletons
are for comparison only and never shown.
"""

from collections import defaultdict
from collections.abc import Iterable
from unicodedata import normalize

from confusable_homoglyphs.confusables import confusables_data

from hubbub.protocol import fold_name

_DIRECTION_MARKS = "\u200e\u200f"  # around right-to-left letters in the tables; invisible


def _build_prototypes() -> dict[int, str]:
    """Return the prototype of each character, as a table for `str.translate`.

    The library's tables link every character with its prototype in both directions and do not say which one is the
    prototype. It is the one with more than one link; of two that have only each other, it is the longer one, then the
    one that sorts first.
    """
    links: defaultdict[str, set[str]] = defaultdict(set)
    for text, others in confusables_data.items():
        links[text.strip(_DIRECTION_MARKS)].update(other["c"].strip(_DIRECTION_MARKS) for other in others)
    prototypes = {}
    for char, others in links.items():
        if len(char) == 1 and len(others) == 1:
            (other,) = others
            if len(links[other]) > 1 or (-len(other), other) < (-1, char):
                prototypes[ord(char)] = normalize("NFD", other)
    return prototypes


_PROTOTYPES = _build_prototypes()


def skeleton(text: str) -> str:
    """Return the UTS #39 skeleton of `text`, which must contain no invisible characters."""
    return normalize("NFD", normalize("NFD", text).translate(_PROTOTYPES))


def skeletons_of(name: str) -> frozenset[str]:
    """Return the skeletons of a name as it is written and in the other case."""
    return frozenset({skeleton(fold_name(name)), skeleton(fold_name(skeleton(name)))})


class ConfusableIndex:
    """Names by their skeletons, each with its owner. Not thread-safe: the caller holds a lock."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        """Add the names `reserved`, with which every other name is compared and which no owner can remove."""
        self._by_skeleton: dict[str, tuple[str, object]] = {}
        for name in reserved:
            self.add(name, self)

    def add(self, name: str, owner: object) -> None:
        """Give all skeletons of `name` to `owner`, even if another owner has them."""
        for key in skeletons_of(name):
            self._by_skeleton[key] = (name, owner)

    def remove(self, name: str, owner: object) -> None:
        """Remove the skeletons of `name` that belong to `owner`; those of other owners stay."""
        for key in skeletons_of(name):
            if key in self._by_skeleton and self._by_skeleton[key][1] is owner:
                del self._by_skeleton[key]

    def find_confusable(self, name: str, owner: object = None) -> str:
        """Return a name of another owner than `owner` that is confusable with `name`; empty if there is none."""
        for key in skeletons_of(name):
            other, other_owner = self._by_skeleton.get(key, ("", owner))
            if other_owner is not owner:
                return other
        return ""
