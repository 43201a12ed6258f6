"""Operators, bans and mutes. Bans and mutes end by themselves and survive a restart of the server.

The ban of a name covers every name that is confusable with it; the ban of an address covers its subnet. A target that
has the form of an address is an address. A ban or mute of a name never applies to the name of an operator.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import ClassVar, Literal, Protocol, get_args

from hubbub.protocol import ProtocolError, check_name, fold_name
from hubbub.server.access.confusables import skeletons_of
from hubbub.server.journal.journal import Journal, JournalError
from hubbub.server.network.admission import parse_address, subnet_key

MAX_RESTRICTIONS = 10_000  # bans, and as many mutes: more than operators enter by hand, and some 5 MB
MAX_REASON_CHARS = 200  # a reason is stored and shown to a whole room

Kind = Literal["ban", "mute"]


@dataclass(frozen=True, slots=True)
class Restriction:
    """A ban or a mute. `str` continues "NAME was": `banned by op until 2026-01-31 12:00:00 UTC: spam`."""

    target: str  # a name, or a subnet as `subnet_key` writes it
    until: int  # milliseconds since 1970
    operator: str
    reason: str

    participle: ClassVar[str]

    @property
    def end(self) -> str:
        """The end of the restriction as text."""
        return f"{datetime.fromtimestamp(self.until / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"

    def __str__(self) -> str:
        return f"{self.participle} by {self.operator} until {self.end}{reason_suffix(self.reason)}"

    def to_fact(self) -> str:
        """Return the JSON that the journal stores."""
        fact = {"whom": self.target, "until": self.until, "by": self.operator, "why": self.reason}
        return json.dumps(fact, ensure_ascii=False)


class Ban(Restriction):
    """A ban of a name or of a subnet."""

    __slots__ = ()
    participle = "banned"


class Mute(Restriction):
    """A mute of a name."""

    __slots__ = ()
    participle = "muted"


_CLASSES: dict[Kind, type[Restriction]] = {"ban": Ban, "mute": Mute}
FACT_KINDS: tuple[Kind, ...] = get_args(Kind)  # of the journal's facts, which are stored by the key of the target


class Connection(Protocol):
    """A client's connection, signed in or not."""

    @property
    def subnet(self) -> str:
        """The subnet of the client's address, as `parse_subnet` returns it."""

    def expel(self, action: str) -> None:
        """Disconnect the client for good, unless they are an operator. Any thread."""


class Moderation:
    """The operators, the bans and the mutes. Any thread may call any method.

    Methods that change something wait for the journal; the others never wait. Lock order: the membership lock, then
    `_lock`.
    """

    def __init__(
        self, journal: Journal, operators: Iterable[str] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        """Store bans and mutes in `journal`, from which `load` reads; `clock` gives seconds since 1970."""
        self.operators = tuple(operators)
        self._operator_keys = frozenset(map(fold_name, self.operators))
        self._journal = journal
        self._clock = clock
        self._write_lock = Lock()  # held during a change here and in the journal; taken before `_lock`
        self._lock = Lock()  # guards the two tables below
        self._restrictions: dict[Kind, dict[str, Restriction]] = {kind: {} for kind in FACT_KINDS}
        self._banned_keys: defaultdict[str, set[str]] = defaultdict(set)  # keys of banned names, by skeleton

    def load(self) -> None:
        """Load bans and mutes from the journal and delete the expired ones there. Raises JournalError."""
        with self._write_lock:
            for kind in self._restrictions:
                for key, fact in self._journal.list_facts(kind).items():
                    self._add(kind, key, _parse_fact(kind, key, fact))
            self._delete_expired()

    # ------------------------------------------------------------------------------------------------------- checks

    def is_operator(self, name: str) -> bool:
        """Return whether `name` is the name of an operator. It does not say that its user has proven to own it."""
        return fold_name(name) in self._operator_keys

    def refuse_banned(self, name: str) -> None:
        """Raise ProtocolError `not-allowed` if `name` is banned, or confusable with a banned name."""
        if ban := self.find_name_ban(name):
            same = fold_name(name) == fold_name(ban.target)
            text = f"{name} is {ban}" if same else f"{name} looks like {ban.target}, which is {ban}"
            raise ProtocolError("not-allowed", text)

    def refuse_banned_address(self, address: str) -> None:
        """Raise ProtocolError `not-allowed` if the subnet of `address` is banned."""
        if ban := self.find_address_ban(address):
            raise ProtocolError("not-allowed", f"your address is {ban}")

    def refuse_muted(self, name: str) -> None:
        """Raise ProtocolError `not-allowed` if `name` is muted."""
        if mute := self.find_mute(name):
            text = f"you are {mute}; you can read, but not send, create a room or change your name"
            raise ProtocolError("not-allowed", text)

    def find_name_ban(self, name: str) -> Restriction | None:
        """Return the ban of `name` or of a name that is confusable with it."""
        with self._lock:
            if not self._banned_keys or self.is_operator(name):
                return None
        skeletons = skeletons_of(name)
        with self._lock:
            keys = {key for skeleton in skeletons for key in self._banned_keys.get(skeleton, ())}
            own_key = fold_name(name)  # the ban of this very name comes before those of confusable names
            bans = (self._find("ban", key) for key in sorted(keys, key=lambda key: (key != own_key, key)))
            return next(filter(None, bans), None)

    def find_address_ban(self, address: str) -> Restriction | None:
        """Return the ban of the subnet of `address`."""
        with self._lock:
            return self._find("ban", parse_subnet(address)) if self._restrictions["ban"] else None

    def find_mute(self, name: str) -> Restriction | None:
        """Return the mute of `name`."""
        with self._lock:
            if not self._restrictions["mute"]:  # the usual case; called for every message
                return None
            return None if self.is_operator(name) else self._find("mute", fold_name(name))

    def list_restrictions(self) -> Iterator[str]:
        """Yield a line of text for each ban, then for each mute, sorted by target."""
        with self._lock:
            found = [
                restriction
                for restrictions in self._restrictions.values()
                for _, restriction in sorted(restrictions.items(), key=lambda item: item[0])
            ]
        for restriction in found:
            if restriction.until > self._now():
                yield f"{restriction.target} was {restriction}"

    # ------------------------------------------------------------------------------------------------------ changes

    def ban(self, target: str, seconds: int, operator: str, reason: str = "") -> Restriction:
        """Ban a name or an address for `seconds`; an earlier ban of it is replaced.

        Raises ProtocolError `name-invalid`, `not-allowed` for an operator and for a loopback address, `too-many`, and
        JournalError.
        """
        if parse_subnet(target) and parse_address(target).is_loopback:
            raise ProtocolError("not-allowed", f"{target} is the server's own machine, which cannot be banned")
        return self._restrict("ban", parse_subnet(target) or check_name(target), seconds, operator, reason)

    def mute(self, name: str, seconds: int, operator: str) -> Restriction:
        """Mute a name for `seconds`. Raises the same as `ban`."""
        return self._restrict("mute", check_name(name), seconds, operator, "")

    def unban(self, target: str) -> str:
        """Lift a ban; return the banned name or subnet as it is stored. Raises ProtocolError `no-such-person`."""
        return self._lift("ban", parse_subnet(target) or check_name(target))

    def unmute(self, name: str) -> str:
        """Lift a mute; return the muted name as it is stored. Raises ProtocolError `no-such-person`."""
        return self._lift("mute", check_name(name))

    def apply_fact(self, kind: str, key: str, fact: str | None) -> Restriction | None:
        """Apply a ban or mute that another server has stored, or deleted if `fact` is None. Return a stored one.

        Raises JournalError.
        """
        with self._write_lock:
            for known in self._restrictions:
                if known == kind and fact is None and key in self._restrictions[known]:
                    self._remove(known, key)
                elif known == kind and fact is not None:
                    restriction = _parse_fact(known, key, fact)
                    self._add(known, key, restriction)
                    return restriction
        return None

    def stored_facts(self) -> dict[str, dict[str, str]]:
        """Return the facts that the journal stores, by kind and key."""
        with self._lock:
            return {
                kind: {key: restriction.to_fact() for key, restriction in restrictions.items()}
                for kind, restrictions in self._restrictions.items()
            }

    def _restrict(self, kind: Kind, target: str, seconds: int, operator: str, reason: str) -> Restriction:
        if self.is_operator(target):
            done = _CLASSES[kind].participle
            raise ProtocolError("not-allowed", f"{target} is an operator; operators cannot be {done}")
        key = fold_name(target)
        with self._write_lock:
            self._delete_expired()
            if key not in self._restrictions[kind] and len(self._restrictions[kind]) >= MAX_RESTRICTIONS:
                text = f"there are {MAX_RESTRICTIONS} {kind}s already, which is the limit; lift some (/bans lists them)"
                raise ProtocolError("too-many", text)
            restriction = _CLASSES[kind](target, self._now() + seconds * 1000, operator, reason)
            self._journal.store_fact(kind, key, restriction.to_fact())
            self._add(kind, key, restriction)
        return restriction

    def _lift(self, kind: Kind, target: str) -> str:
        key = fold_name(target)
        with self._write_lock:
            self._delete_expired()
            restriction = self._restrictions[kind].get(key)
            if restriction is None:
                done = _CLASSES[kind].participle
                raise ProtocolError("no-such-person", f"{target} is not {done}; /bans lists all bans and mutes")
            self._delete(kind, key)
        return restriction.target

    # ------------------------------------------------------------------------------------------------------- tables

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _find(self, kind: Kind, key: str) -> Restriction | None:
        """Return the restriction of a key unless it has expired. The caller holds `_lock`."""
        restriction = self._restrictions[kind].get(key)
        return restriction if restriction is not None and restriction.until > self._now() else None

    def _add(self, kind: Kind, key: str, restriction: Restriction) -> None:
        with self._lock:
            self._remove_locked(kind, key)
            self._restrictions[kind][key] = restriction
            for skeleton in _banned_skeletons(kind, restriction):
                self._banned_keys[skeleton].add(key)

    def _remove(self, kind: Kind, key: str) -> None:
        with self._lock:
            self._remove_locked(kind, key)

    def _remove_locked(self, kind: Kind, key: str) -> None:
        restriction = self._restrictions[kind].pop(key, None)
        for skeleton in _banned_skeletons(kind, restriction) if restriction else ():
            self._banned_keys[skeleton].discard(key)
            if not self._banned_keys[skeleton]:
                del self._banned_keys[skeleton]

    def _delete(self, kind: Kind, key: str) -> None:
        self._journal.store_fact(kind, key, None)
        self._remove(kind, key)

    def _delete_expired(self) -> None:
        for kind, restrictions in self._restrictions.items():
            for key in [key for key, restriction in restrictions.items() if restriction.until <= self._now()]:
                self._delete(kind, key)


def _banned_skeletons(kind: Kind, restriction: Restriction) -> frozenset[str]:
    """Return the skeletons of the banned name as the operator wrote it; none of an address and of a mute."""
    if kind != "ban" or parse_subnet(restriction.target):
        return frozenset()
    return skeletons_of(restriction.target)


def parse_subnet(text: str) -> str:
    """Return the subnet of the address in `text`, as `subnet_key` writes it; empty if `text` is not an address."""
    try:
        return subnet_key(text)
    except ValueError:
        return ""


def reason_suffix(reason: str) -> str:
    """Return a reason as it is appended to a text; empty if there is no reason."""
    return f": {reason}" if reason else ""


def check_reason(reason: str) -> str:
    """Return a reason without surrounding spaces. Raises ProtocolError `text-too-long`."""
    reason = reason.strip()
    if len(reason) > MAX_REASON_CHARS:
        text = f"the reason has {len(reason)} characters and the limit is {MAX_REASON_CHARS}; shorten it"
        raise ProtocolError("text-too-long", text)
    return reason


def _parse_fact(kind: Kind, key: str, fact: str) -> Restriction:
    try:
        fields = json.loads(fact)
        return _CLASSES[kind](fields["whom"], fields["until"], fields["by"], fields["why"])
    except (ValueError, TypeError, KeyError) as error:
        raise JournalError(f"cannot read the {kind} of {key!r} in the journal: {error}") from error
