"""Which names look the same, by the tables that Unicode publishes for it (UTS #39, confusables).

The tables are those of confusable_homoglyphs; what is made of them here is the skeleton of the standard: two words that
may be mistaken for each other have the same. No case is told apart in a name, so a name has the looks that it has in
any case: `АLICE` with a Cyrillic `А` looks like `alice`. Skeletons are for comparing alone; nobody is shown one.
"""

from collections import defaultdict
from collections.abc import Iterable
from unicodedata import normalize

from confusable_homoglyphs.confusables import confusables_data

from hubbub.protocol import same_key

_MARKS = "\u200e\u200f"  # of direction, around right-to-left letters in the tables; they show nothing


def _prototypes() -> dict[int, str]:
    """Return for each character what stands for all that looks like it, as `str.translate` takes it.

    The library's tables link every character with its prototype, both ways and without saying which is which; so a
    prototype is what more than one is linked with, and of two that only have each other the longer, then the lesser.
    """
    links: defaultdict[str, set[str]] = defaultdict(set)
    for text, others in confusables_data.items():
        links[text.strip(_MARKS)].update(other["c"].strip(_MARKS) for other in others)
    prototypes = {}
    for char, others in links.items():
        if len(char) == 1 and len(others) == 1:
            (other,) = others
            if len(links[other]) > 1 or (-len(other), other) < (-1, char):
                prototypes[ord(char)] = normalize("NFD", other)
    return prototypes


_PROTOTYPES = _prototypes()


def skeleton(text: str) -> str:
    """Return what all words that may be mistaken for `text` have in common. `text` holds nothing invisible."""
    return normalize("NFD", normalize("NFD", text).translate(_PROTOTYPES))


def looks_of(name: str) -> frozenset[str]:
    """Return the looks of a name: as it is, and in the other case."""
    return frozenset({skeleton(same_key(name)), skeleton(same_key(skeleton(name)))})


class ConfusableIndex:
    """Which looks are taken, and by whom; whoever shares it brings the lock."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        """Nobody may look like `reserved`."""
        self._taken: dict[str, tuple[str, object]] = {}
        for name in reserved:
            self.take(name, self)

    def take(self, name: str, owner: object) -> None:
        """Give the looks of `name` to `owner`."""
        for look in looks_of(name):
            self._taken[look] = (name, owner)

    def free(self, name: str, owner: object) -> None:
        """Take the looks of `name` from `owner`; what is another's stays his."""
        for look in looks_of(name):
            if look in self._taken and self._taken[look][1] is owner:
                del self._taken[look]

    def like(self, name: str, owner: object = None) -> str:
        """Return the name of somebody but `owner` that `name` looks like; empty if there is none."""
        for look in looks_of(name):
            other, taken_by = self._taken.get(look, ("", owner))
            if taken_by is not owner:
                return other
        return ""
