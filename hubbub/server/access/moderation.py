"""Who keeps order, and whom they keep out or keep silent, and until when; all of it survives the server.

A name is kept out with all that looks like it, and an address with all that counts as the same one. What can be an
address is one. Whoever bears the name of an operator is never kept out by his name.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import Lock
from typing import Literal, NamedTuple, Protocol, get_args

from hubbub.protocol import ProtocolError, check_name, same_key
from hubbub.server.access.confusables import looks_of
from hubbub.server.journal.journal import Journal, JournalError
from hubbub.server.network.subnets import origin_of, parse_address

BANS = 10_000  # at a time, and as many mutes: more than people pass by hand, and some 5 MB
WHY_CHARS = 200  # of a reason: it is kept, and told to a whole room

Kind = Literal["ban", "mute"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # of the journal's facts: by the key of whom it concerns
_DONE: dict[Kind, str] = {"ban": "banned", "mute": "muted"}


class Sentence(NamedTuple):
    """What was passed on somebody, by whom, why, and until when: milliseconds since 1970."""

    whom: str  # a name, or an address as `address_key` writes it
    until: int
    by: str
    why: str

    @property
    def end(self) -> str:
        """Until when, for people."""
        return f"{datetime.fromtimestamp(self.until / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"

    def __str__(self) -> str:
        """Return how it goes on after `banned` or `muted`."""
        return f"by {self.by} until {self.end}{because(self.why)}"


class Connection(Protocol):
    """Whoever is connected, with or without a name."""

    @property
    def address_key(self) -> str:
        """What is banned with his address."""

    def expel(self, deed: str) -> None:
        """Make him leave for good, unless he is an operator. Any thread."""


class Moderation:
    """The operators, the bans and the mutes. Any thread may call any method.

    Those that change something wait for the journal, the others never do. Lock order: the membership's, then `_lock`.
    """

    def __init__(
        self, journal: Journal, operators: Iterable[str] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        """Keep sentences in `journal`; `clock` gives seconds since 1970. None is known before `load`."""
        self.operators = tuple(operators)
        self._operators = frozenset(map(same_key, self.operators))
        self._journal = journal
        self._clock = clock
        self._writing = Lock()  # held while something is changed, here and in the journal; taken before the next one
        self._lock = Lock()  # guards the two below
        self._sentences: dict[Kind, dict[str, Sentence]] = {kind: {} for kind in KINDS}
        self._looks: defaultdict[str, set[str]] = defaultdict(set)  # the keys of the banned names, by their looks

    def load(self) -> None:
        """Take over what the journal has, and drop there what is over. Raises JournalError."""
        with self._writing:
            for kind in self._sentences:
                for key, fact in self._journal.list_facts(kind).items():
                    self._put(kind, key, _parse(kind, key, fact))
            self._drop_old()

    # ------------------------------------------------------------------------------------------------ who may what

    def is_operator(self, name: str) -> bool:
        """Whether `name` is an operator's; who bears it must have proven that it is his."""
        return same_key(name) in self._operators

    def refuse_banned(self, name: str) -> None:
        """Raise ProtocolError `not-allowed` if nobody may be called `name` for now."""
        if sentence := self.banned_name(name):
            same = same_key(name) == same_key(sentence.whom)
            banned = f"{name} is banned" if same else f"{name} looks like {sentence.whom}, who is banned"
            raise ProtocolError("not-allowed", f"{banned} {sentence}")

    def refuse_banned_address(self, address: str) -> None:
        """Raise ProtocolError `not-allowed` if nobody may come from `address` for now."""
        if sentence := self.banned_address(address):
            raise ProtocolError("not-allowed", f"your address is banned {sentence}")

    def refuse_muted(self, name: str) -> None:
        """Raise ProtocolError `not-allowed` if whoever is called `name` may tell nobody anything for now."""
        if sentence := self.muted(name):
            raise ProtocolError("not-allowed", f"you were muted {sentence}; you can read, and keep your name")

    def banned_name(self, name: str) -> Sentence | None:
        """Return the ban of `name`, or of one that it looks like."""
        with self._lock:
            if not self._looks or self.is_operator(name):
                return None
        looks = looks_of(name)
        with self._lock:
            keys = {key for look in looks for key in self._looks.get(look, ())}
            own = same_key(name)  # his own ban, before that of one whom he looks like
            found = (self._valid("ban", key) for key in sorted(keys, key=lambda key: (key != own, key)))
            return next(filter(None, found), None)

    def banned_address(self, address: str) -> Sentence | None:
        """Return the ban of an address."""
        with self._lock:
            return self._valid("ban", address_key(address)) if self._sentences["ban"] else None

    def muted(self, name: str) -> Sentence | None:
        """Return the mute of `name`."""
        with self._lock:
            if not self._sentences["mute"]:  # as nearly always, and this is asked for each line that is said
                return None
            key = same_key(name)
            return None if key in self._operators else self._valid("mute", key)

    def sentences(self) -> list[str]:
        """Return a line for each ban, then for each mute, by name or address."""
        with self._lock:
            return [
                f"{sentence.whom} was {_DONE[kind]} {sentence}"
                for kind, sentences in self._sentences.items()
                for _, sentence in sorted(sentences.items())
                if sentence.until > self._now()
            ]

    # ---------------------------------------------------------------------------------------------- passing sentence

    def ban(self, who: str, seconds: int, by: str, why: str = "") -> Sentence:
        """Keep a name or an address out for `seconds`, instead of what was passed on it before.

        Raises ProtocolError `name-invalid`, `not-allowed` for an operator and for this machine itself, `too-many`, and
        JournalError.
        """
        whom = address_key(who) or check_name(who)
        if address_key(who) and parse_address(who).is_loopback:
            raise ProtocolError("not-allowed", f"{who} is the server's own machine, which cannot be banned")
        return self._pass("ban", whom, seconds, by, why)

    def mute(self, name: str, seconds: int, by: str) -> Sentence:
        """Keep a name silent for `seconds`. Raises as `ban` does."""
        return self._pass("mute", check_name(name), seconds, by, "")

    def unban(self, who: str) -> str:
        """Let a name or an address in again, and return how it is written. Raises ProtocolError `no-such-person`."""
        return self._lift("ban", address_key(who) or check_name(who))

    def unmute(self, name: str) -> str:
        """Let a name speak again, and return how it is written. Raises ProtocolError `no-such-person`."""
        return self._lift("mute", check_name(name))

    def _pass(self, kind: Kind, whom: str, seconds: int, by: str, why: str) -> Sentence:
        if self.is_operator(whom):
            raise ProtocolError("not-allowed", f"{whom} is an operator; ask whoever runs the server")
        key = same_key(whom)
        with self._writing:
            self._drop_old()
            if key not in self._sentences[kind] and len(self._sentences[kind]) >= BANS:
                raise ProtocolError("too-many", f"there are {BANS} already; lift some of those that /bans shows")
            sentence = Sentence(whom, self._now() + seconds * 1000, by, why)
            self._journal.store_fact(kind, key, _fact(sentence))
            self._put(kind, key, sentence)
        return sentence

    def _lift(self, kind: Kind, whom: str) -> str:
        key = same_key(whom)
        with self._writing:
            self._drop_old()
            sentence = self._sentences[kind].get(key)
            if sentence is None:
                raise ProtocolError("no-such-person", f"{whom} is not {_DONE[kind]}; /bans shows who is")
            self._drop(kind, key)
        return sentence.whom

    def take_over(self, kind: str, key: str, fact: str | None) -> Sentence | None:
        """Take over what another server has passed or lifted, and return it if it was passed. Raises JournalError."""
        with self._writing:
            for known in self._sentences:
                if known == kind and fact is None and key in self._sentences[known]:
                    self._take_out(known, key)
                elif known == kind and fact is not None:
                    self._put(known, key, sentence := _parse(kind, key, fact))
                    return sentence
        return None

    def facts(self) -> dict[str, dict[str, str]]:
        """Return what the journal keeps, by kind and key."""
        with self._lock:
            return {
                kind: {key: _fact(sentence) for key, sentence in sentences.items()}
                for kind, sentences in self._sentences.items()
            }

    # ---------------------------------------------------------------------------------------------------- the tables

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _valid(self, kind: Kind, key: str) -> Sentence | None:
        sentence = self._sentences[kind].get(key)
        return sentence if sentence is not None and sentence.until > self._now() else None

    def _put(self, kind: Kind, key: str, sentence: Sentence) -> None:
        with self._lock:
            self._sentences[kind][key] = sentence
            if kind == "ban" and not address_key(key):
                for look in looks_of(key):
                    self._looks[look].add(key)

    def _drop(self, kind: Kind, key: str) -> None:
        self._journal.store_fact(kind, key, None)
        self._take_out(kind, key)

    def _take_out(self, kind: Kind, key: str) -> None:
        with self._lock:
            del self._sentences[kind][key]
            if kind == "ban" and not address_key(key):
                for look in looks_of(key):
                    self._looks[look].discard(key)
                    if not self._looks[look]:
                        del self._looks[look]

    def _drop_old(self) -> None:
        """Forget what is over."""
        for kind, sentences in self._sentences.items():
            for key in [key for key, sentence in sentences.items() if sentence.until <= self._now()]:
                self._drop(kind, key)


def address_key(text: str) -> str:
    """Return how the address in `text` is written when it is banned, `192.0.2.1` or `2001:db8::/64`; empty for none."""
    try:
        return origin_of(text)
    except ValueError:
        return ""


def because(why: str) -> str:
    """Return how a sentence ends that has a reason, or none."""
    return f": {why}" if why else ""


def check_why(why: str) -> str:
    """Return a reason without the spaces around it. Raises ProtocolError `text-too-long`."""
    why = why.strip()
    if len(why) > WHY_CHARS:
        raise ProtocolError("text-too-long", f"WHY has at most {WHY_CHARS} characters and this one has {len(why)}")
    return why


def _fact(sentence: Sentence) -> str:
    return json.dumps(sentence._asdict(), ensure_ascii=False)


def _parse(kind: str, key: str, fact: str) -> Sentence:
    try:
        return Sentence(**json.loads(fact))
    except (ValueError, TypeError) as error:
        raise JournalError(f"the journal's {kind} of {key!r} cannot be read: {error}") from error
