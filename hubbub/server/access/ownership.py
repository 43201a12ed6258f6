"""Whose a name is: who first uses one with a proof of who he is owns it, until he has not used it for long.

Nobody registers and there is no password: a client has a secret, of which this server knows no more than a verifier.
The scheme is that of SCRAM (RFC 5802), and the docstring of protocol.py tells it to who writes a client.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock

from loguru import logger

from hubbub.protocol import ProtocolError, same_key
from hubbub.server.access.confusables import ConfusableIndex
from hubbub.server.journal.journal import Journal, JournalError

FACTS = "name"  # the kind of the journal's facts: by the name's key, whose it is
NAME_DAYS = 90  # without use, then a name is anybody's: longer than a summer without classes
NAMES_PER_OWNER = 10  # beyond that the one longest unused is given up: what one calls oneself, and one's bots
NAMES = 100_000  # that are owned, about 70 MB; beyond that a name can be used, but not owned, and nobody loses his
USE_MS = 86_400_000  # a use is noted once a day, for each note is a write
SERVER_ID_BYTES = 16  # 128 random bits

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(eq=False, slots=True)
class Owner:
    """Somebody, and by their keys the names that are his."""

    verifier: str
    names: dict[str, "OwnedName"] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class OwnedName:
    """A name that is somebody's; `used` is when he last used it, in milliseconds since 1970, up to a day too early."""

    name: str
    owner: Owner
    used: int

    def fact(self) -> str:
        """Return what the journal keeps."""
        return json.dumps({"name": self.name, "verifier": self.owner.verifier, "used": self.used}, ensure_ascii=False)


class NameOwnership:
    """The names that are owned. Any thread may call any method; only `load` and `keep` read or write the journal."""

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.time, *, kept: Iterable[str] = ()) -> None:
        """`clock` gives seconds since 1970.

        A name of `kept` stays whose it is, however long he does not use it, and others that look like it are nobody's.
        """
        self.server = ""  # the identity of this server, for which proofs are made; from `load` on
        self._journal = journal
        self._clock = clock
        kept = tuple(kept)
        self._kept_names = frozenset(map(same_key, kept))
        self._kept_looks = ConfusableIndex(kept)  # never changed
        self._keeping = Lock()  # held while writing, so that of two facts about a name the later one is kept
        self._lock = Lock()  # guards all below; the one above is never waited for under it
        self._names: dict[str, OwnedName] = {}  # by key; the one longest unused comes first
        self._looks = ConfusableIndex()  # of those names
        self._owners: dict[str, Owner] = {}  # by verifier, who owns at least one
        self._unkept: dict[str, str | None] = {}  # facts by key, as `Journal.store_fact` takes them

    def load(self) -> None:
        """Read whose the names are, and who we are. Raises JournalError."""
        self.server = self._journal.list_facts("server").get("id") or secrets.token_hex(SERVER_ID_BYTES)
        self._journal.store_fact("server", "id", self.server)
        facts = [json.loads(fact) for fact in self._journal.list_facts(FACTS).values()]
        with self._lock:
            for fact in sorted(facts, key=lambda fact: int(fact["used"])):
                self._add(fact["name"], fact["verifier"], fact["used"])
            self._expire()
        self.keep()

    def check(self, name: str, verifier: str) -> None:
        """Raise ProtocolError `name-taken` if somebody else than `verifier` owns `name`, or one that looks like it."""
        if same_key(name) not in self._kept_names and (other := self._kept_looks.like(name)):
            raise ProtocolError("name-taken", f"{name} looks like {other}, who keeps order; choose another name")
        with self._lock:
            self._expire()
            owned = self._names.get(same_key(name))
            if owned is not None and owned.owner.verifier != verifier:
                raise ProtocolError("name-taken", f"{name} is somebody's own; choose another name")
            if other := self._looks.like(name, self._owners.get(verifier)):
                raise ProtocolError("name-taken", f"{name} looks like {other}, which is somebody's own; choose another")

    def take(self, name: str, verifier: str) -> None:
        """Note that `verifier` uses `name`, which becomes his if it is nobody's. Without a verifier it does nothing."""
        if not verifier:
            return
        with self._lock:
            self._expire()
            if same_key(name) in self._names:
                self._use(name, verifier)
            elif len(self._names) < NAMES and not self._looks.like(name, self._owners.get(verifier)):
                self._make_space(verifier)
                self._mark_unkept(self._add(name, verifier, self._now()))

    def use(self, name: str, verifier: str) -> None:
        """Note that `verifier` uses `name`, if it is his."""
        if verifier:
            with self._lock:
                self._use(name, verifier)

    def owns(self, name: str, verifier: str) -> bool:
        """Say whether `name` is what `verifier` owns; nobody owns anything without one."""
        with self._lock:
            owned = self._names.get(same_key(name))
            return owned is not None and owned.owner.verifier == verifier

    def is_owned(self, name: str) -> bool:
        """Say whether `name` is anybody's."""
        with self._lock:
            return same_key(name) in self._names

    def take_over(self, key: str, fact: str | None) -> None:
        """Take over whose a name is, as another server keeps it."""
        told = json.loads(fact) if fact else None
        with self._lock:
            if key in self._names:
                if self._names[key].fact() == fact:
                    return  # and it stays where it is, among those longer unused and those used since
                self._give_up(self._names[key])
            self._unkept.pop(key, None)
            if told:
                self._add(told["name"], told["verifier"], told["used"])

    def facts(self) -> dict[str, str]:
        """Return what the journal keeps, by the name's key; not what it does not know yet."""
        with self._lock:
            return {key: owned.fact() for key, owned in self._names.items() if key not in self._unkept}

    def keep(self) -> None:
        """Have the journal keep what changed; what it cannot write now is written the next time."""
        if not self._unkept:  # a look without the lock: who changes something calls this after it
            return
        with self._keeping:
            try:
                while (fact := self._next_unkept()) is not None:
                    self._journal.store_fact(FACTS, *fact)
                    self._kept(*fact)
            except JournalError as error:
                logger.error("cannot keep whose a name is: {}; trying again", error)

    # ---------------------------------------------------------------------------------------------- under the lock

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _add(self, name: str, verifier: str, used: int) -> OwnedName:
        owner = self._owners.setdefault(verifier, Owner(verifier))
        owned = OwnedName(name, owner, used)
        self._names[same_key(name)] = owner.names[same_key(name)] = owned
        self._looks.take(name, owner)
        return owned

    def _use(self, name: str, verifier: str) -> None:
        owned, now = self._names.get(same_key(name)), self._now()
        if owned is None or owned.owner.verifier != verifier or now - owned.used < USE_MS:
            return
        owned.used = now
        self._names[same_key(name)] = self._names.pop(same_key(name))
        self._mark_unkept(owned)

    def _mark_unkept(self, owned: OwnedName) -> None:
        self._unkept[same_key(owned.name)] = owned.fact()

    def _make_space(self, verifier: str) -> None:
        """Have an owner have room for one name more."""
        owner = self._owners.get(verifier)
        if owner is None or len(owner.names) < NAMES_PER_OWNER:
            return
        spare = [owned for key, owned in owner.names.items() if key not in self._kept_names]
        if spare:
            self._give_up(min(spare, key=lambda owned: owned.used))

    def _expire(self) -> None:
        """Give up the names that nobody has used for too long."""
        oldest = self._now() - NAME_DAYS * 86_400_000
        while self._names and (owned := next(iter(self._names.values()))).used < oldest:
            if same_key(owned.name) in self._kept_names:
                owned.used = self._now()
                self._names[same_key(owned.name)] = self._names.pop(same_key(owned.name))
            else:
                self._give_up(owned)

    def _give_up(self, owned: OwnedName) -> None:
        key, owner = same_key(owned.name), owned.owner
        del self._names[key], owner.names[key]
        self._looks.free(owned.name, owner)
        for other in owner.names.values():
            self._looks.take(other.name, owner)  # once more: some may have been those of the other one, too
        if not owner.names:
            del self._owners[owner.verifier]
        self._unkept[key] = None

    # ----------------------------------------------------------------------------------------------------- keeping

    def _next_unkept(self) -> tuple[str, str | None] | None:
        with self._lock:
            return next(iter(self._unkept.items()), None)

    def _kept(self, key: str, fact: str | None) -> None:
        with self._lock:
            if self._unkept[key] == fact:  # else it changed meanwhile, and is kept once more
                del self._unkept[key]


def is_proof(verifier: str, proof: str, nonce: str, server: str) -> bool:
    """Say whether `proof` shows that he who answers `nonce` has the key that `verifier` is made of; any text will do.

    Both are compared in constant time.
    """
    if not (_DIGEST.fullmatch(verifier) and _DIGEST.fullmatch(proof)):
        return False
    wanted = bytes.fromhex(verifier)
    mask = hmac.digest(wanted, (nonce + server).encode(), "sha256")
    key = bytes(a ^ b for a, b in zip(bytes.fromhex(proof), mask, strict=True))
    return hmac.compare_digest(hashlib.sha256(key).digest(), wanted)
