"""Name ownership: the first user who signs in under a name and proves an identity owns the name until it expires.

There is no registration and no password: a client has a secret, and the server stores only its verifier, from which the
secret cannot be computed. The scheme is that of SCRAM (RFC 5802) and is described in the docstring of hubbub.protocol.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from loguru import logger

from hubbub.protocol import ProtocolError, fold_name
from hubbub.server.access.confusables import ConfusableIndex
from hubbub.server.journal.journal import Journal, JournalError

FACT_KIND = "name"  # of the journal's facts: by the key of a name, its owner and last use
NAME_EXPIRY_DAYS = 90  # without use: longer than a summer without classes
BRIEF_USE_MS = 3_600_000  # a name used for less is brief: someone tried it, or an attacker collects names
BRIEF_NAME_EXPIRY_DAYS = 7  # of a brief name without use; a user who returns within a week keeps it
MAX_NAMES_PER_OWNER = 10  # of a user and their bots; beyond this the user loses the name that is unused for longest
MAX_OWNED_NAMES = 100_000  # about 120 MB; beyond this a new name has no owner, and no owner loses a name
MAX_NEW_NAMES_PER_SUBNET = 64  # in an hour: as many users as MAX_CLIENTS_PER_ADDRESS, a class behind one router
MAX_NAMES_PER_SUBNET = 1_000  # a school behind one router, and 1 % of the table
HOUR_MS = 3_600_000
SUBNET_DIGEST_BYTES = 8  # so that the journal does not show addresses at a glance
USE_INTERVAL_MS = 86_400_000  # a use is recorded at most once a day, for each record is a write
SERVER_ID_BYTES = 16  # 128 random bits

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(eq=False, slots=True)
class Owner:
    """The owner of names, which are stored by their keys."""

    verifier: str
    names: dict[str, "OwnedName"] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class OwnedName:
    """A name and its owner. Times are in milliseconds since 1970; `last_used` is up to a day too early.

    Version 0.1.0 stored neither `since` nor `subnet`: its names are not brief, and count for no subnet.
    """

    name: str
    owner: Owner
    last_used: int
    since: int = 0  # when it was claimed
    subnet: str = ""  # the digest of the subnet that claimed it

    @property
    def is_brief(self) -> bool:
        """Whether the name was used for less than an hour, from the claim to the last use."""
        return self.last_used - self.since < BRIEF_USE_MS

    def to_fact(self) -> str:
        """Return the JSON that the journal stores."""
        fact: dict[str, str | int] = {"name": self.name, "verifier": self.owner.verifier, "used": self.last_used}
        if self.since:
            fact |= {"since": self.since, "subnet": self.subnet}
        return json.dumps(fact, ensure_ascii=False)


class NameOwnership:
    """The owned names. Any thread may call any method; only `load` and `store_changes` use the journal."""

    def __init__(
        self, journal: Journal, clock: Callable[[], float] = time.time, *, operators: Iterable[str] = ()
    ) -> None:
        """`clock` gives seconds since 1970.

        The names of `operators` never expire once they are owned, and names confusable with them cannot be used.
        """
        self.server_id = ""  # a part of every proof; empty before `load`
        self._journal = journal
        self._clock = clock
        operators = tuple(operators)
        self._operator_keys = frozenset(map(fold_name, operators))
        self._operator_confusables = ConfusableIndex(operators)  # never changed
        self._write_lock = Lock()  # held while writing, so that of two facts about a name the later one is stored
        self._lock = Lock()  # guards all attributes below; never held while waiting for the lock above
        self._names: dict[str, OwnedName] = {}  # by key; the one unused for longest comes first
        self._brief_names: dict[str, OwnedName] = {}  # those of them that are brief and no operator's, in that order
        self._names_by_subnet: defaultdict[str, set[OwnedName]] = defaultdict(set)  # by digest
        self._confusables = ConfusableIndex()  # of these names
        self._owners: dict[str, Owner] = {}  # by verifier; each owns at least one name
        self._unstored: dict[str, str | None] = {}  # changed facts by key; None deletes

    def load(self) -> None:
        """Load the owned names and the server's ID from the journal. Raises JournalError."""
        self.server_id = self._journal.list_facts("server").get("id") or secrets.token_hex(SERVER_ID_BYTES)
        self._journal.store_fact("server", "id", self.server_id)
        facts = [json.loads(fact) for fact in self._journal.list_facts(FACT_KIND).values()]
        with self._lock:
            for fact in sorted(facts, key=lambda fact: int(fact["used"])):
                self._add_fact(fact)
            self._expire_names()
        self.store_changes()

    def check_available(self, name: str, verifier: str) -> None:
        """Raise ProtocolError `name-taken` if another owner has `name` or a name that is confusable with it.

        Neither keeps the owner of `name` from it, nor a name that is confusable with it an operator.
        """
        is_operator = fold_name(name) in self._operator_keys
        if not is_operator and (other := self._operator_confusables.find_confusable(name)):
            raise ProtocolError("name-taken", f"{name} looks like {other}, an operator's name; choose another name")
        with self._lock:
            self._expire_names()
            owned = self._names.get(fold_name(name))
            if owned is not None and owned.owner.verifier != verifier:
                advice = "If it is yours, copy your secret file to this machine (see docs/client.md)"
                raise ProtocolError("name-taken", f"{name} belongs to someone else. {advice}")
            if owned is None and not is_operator and (other := self._find_confusable(name, verifier)):
                text = f"{name} looks like {other}, which belongs to someone else; choose another name"
                raise ProtocolError("name-taken", text)

    def claim_name(self, name: str, verifier: str, subnet: str = "") -> None:
        """Make `verifier` the owner of `name` if nobody owns it, and record the use. Without a verifier, do nothing.

        A client of `subnet`, unless that is empty, owns no new name beyond the limits. No limit is for operators.
        """
        if not verifier:
            return
        with self._lock:
            self._expire_names()
            now, digest = self._now(), self._digest(subnet)
            if fold_name(name) in self._names:
                self._record_use(name, verifier)
            elif fold_name(name) in self._operator_keys or (
                len(self._names) < MAX_OWNED_NAMES
                and not self._is_subnet_full(digest, now)
                and not self._find_confusable(name, verifier)
            ):
                self._make_room(verifier)
                self._mark_changed(self._add(OwnedName(name, self._owner(verifier), now, now, digest)))

    def release(self, name: str) -> str:
        """Take `name` from its owner; return it as it was stored.

        Raises ProtocolError `no-such-person` if it has no owner, and `not-allowed` for the name of an operator.
        """
        if fold_name(name) in self._operator_keys:
            raise ProtocolError("not-allowed", f"{name} is an operator's name; ask the administrator of the server")
        with self._lock:
            self._expire_names()
            owned = self._names.get(fold_name(name))
            if owned is None:
                raise ProtocolError("no-such-person", f"{name} has no owner, so anybody may use it")
            self._give_up(owned)
            return owned.name

    def record_use(self, name: str, verifier: str) -> None:
        """Record that `verifier` uses `name`, if they own it."""
        if verifier:
            with self._lock:
                self._record_use(name, verifier)

    def is_owner(self, name: str, verifier: str) -> bool:
        """Return whether `verifier` owns `name`; the empty verifier owns nothing."""
        with self._lock:
            owned = self._names.get(fold_name(name))
            return owned is not None and owned.owner.verifier == verifier

    def is_owned(self, name: str) -> bool:
        """Return whether `name` has an owner."""
        with self._lock:
            return fold_name(name) in self._names

    def apply_fact(self, key: str, fact: str | None) -> None:
        """Apply the ownership of a name that another server has stored, or deleted if `fact` is None."""
        fields = json.loads(fact) if fact else None
        with self._lock:
            if key in self._names:
                if self._names[key].to_fact() == fact:
                    return  # the name stays at its place in the order of use
                self._give_up(self._names[key])
            self._unstored.pop(key, None)
            if fields:
                self._add_fact(fields)

    def stored_facts(self) -> dict[str, str]:
        """Return the facts that the journal stores, by key, without those that changed since."""
        with self._lock:
            return {key: owned.to_fact() for key, owned in self._names.items() if key not in self._unstored}

    def store_changes(self) -> None:
        """Store all changes in the journal. Changes that it cannot store now are stored by a later call."""
        if not self._unstored:  # read without the lock: every method that adds a change is followed by this one
            return
        with self._write_lock:
            try:
                while (change := self._next_change()) is not None:
                    self._journal.store_fact(FACT_KIND, *change)
                    self._mark_stored(*change)
            except JournalError as error:
                logger.error("cannot store the owners of names: {}; trying again later", error)

    # ---------------------------------------------------------------------------------------------- under the lock

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _owner(self, verifier: str) -> Owner:
        return self._owners.get(verifier) or Owner(verifier)

    def _find_confusable(self, name: str, verifier: str) -> str:
        return self._confusables.find_confusable(name, self._owners.get(verifier))

    def _digest(self, subnet: str) -> str:
        """Return what is stored of a subnet; the same on all servers of a chat. Empty for the empty one."""
        if not subnet:
            return ""
        key = self.server_id.encode()
        return hashlib.blake2b(subnet.encode(), key=key, digest_size=SUBNET_DIGEST_BYTES).hexdigest()

    def _is_subnet_full(self, digest: str, now: int) -> bool:
        names = self._names_by_subnet.get(digest, ()) if digest else ()
        if len(names) >= MAX_NAMES_PER_SUBNET:
            return True
        return sum(owned.since > now - HOUR_MS for owned in names) >= MAX_NEW_NAMES_PER_SUBNET

    def _add_fact(self, fact: dict[str, Any]) -> None:
        owner, since, subnet = self._owner(fact["verifier"]), fact.get("since", 0), fact.get("subnet", "")
        self._add(OwnedName(fact["name"], owner, fact["used"], since, subnet))

    def _add(self, owned: OwnedName) -> OwnedName:
        key, owner = fold_name(owned.name), owned.owner
        self._owners[owner.verifier] = owner
        self._names[key] = owner.names[key] = owned
        if owned.is_brief and key not in self._operator_keys:
            self._brief_names[key] = owned
        if owned.subnet:
            self._names_by_subnet[owned.subnet].add(owned)
        self._confusables.add(owned.name, owner)
        return owned

    def _record_use(self, name: str, verifier: str) -> None:
        owned, now = self._names.get(fold_name(name)), self._now()
        if owned is None or owned.owner.verifier != verifier:
            return
        if now - owned.last_used >= (BRIEF_USE_MS if owned.is_brief else USE_INTERVAL_MS):
            self._move_to_end(owned, now)
            self._mark_changed(owned)

    def _move_to_end(self, owned: OwnedName, now: int) -> None:
        key = fold_name(owned.name)
        owned.last_used = now
        self._names[key] = self._names.pop(key)
        if not owned.is_brief:
            self._brief_names.pop(key, None)

    def _make_room(self, verifier: str) -> None:
        """Give up a name of an owner who has the maximum, unless all of them are operators' names."""
        owner = self._owners.get(verifier)
        if owner is None or len(owner.names) < MAX_NAMES_PER_OWNER:
            return
        others = [owned for key, owned in owner.names.items() if key not in self._operator_keys]
        if others:
            self._give_up(min(others, key=lambda owned: owned.last_used))

    def _expire_names(self) -> None:
        oldest = self._now() - BRIEF_NAME_EXPIRY_DAYS * 86_400_000
        while self._brief_names and (owned := next(iter(self._brief_names.values()))).last_used < oldest:
            self._give_up(owned)
        oldest = self._now() - NAME_EXPIRY_DAYS * 86_400_000
        while self._names and (owned := next(iter(self._names.values()))).last_used < oldest:
            if fold_name(owned.name) in self._operator_keys:
                self._move_to_end(owned, self._now())
            else:
                self._give_up(owned)

    def _give_up(self, owned: OwnedName) -> None:
        key, owner = fold_name(owned.name), owned.owner
        del self._names[key], owner.names[key]
        self._brief_names.pop(key, None)
        if owned.subnet:
            self._names_by_subnet[owned.subnet].discard(owned)
            if not self._names_by_subnet[owned.subnet]:
                del self._names_by_subnet[owned.subnet]
        self._confusables.remove(owned.name, owner)
        if not owner.names:
            del self._owners[owner.verifier]
        self._unstored[key] = None

    def _mark_changed(self, owned: OwnedName) -> None:
        self._unstored[fold_name(owned.name)] = owned.to_fact()

    # ----------------------------------------------------------------------------------------------------- storing

    def _next_change(self) -> tuple[str, str | None] | None:
        with self._lock:
            return next(iter(self._unstored.items()), None)

    def _mark_stored(self, key: str, fact: str | None) -> None:
        with self._lock:
            if self._unstored[key] == fact:  # otherwise it has changed again, and is stored again
                del self._unstored[key]


def verify_client_proof(verifier: str, client_proof: str, nonce: str, server_id: str) -> bool:
    """Return whether `client_proof` is right for `nonce` and `verifier`. The arguments may be any text.

    In the terms of RFC 5802 the verifier is the StoredKey, and the AuthMessage is the nonce and the server's ID. All
    comparisons take constant time.
    """
    if not (_DIGEST.fullmatch(verifier) and _DIGEST.fullmatch(client_proof)):
        return False
    stored_key = bytes.fromhex(verifier)
    client_signature = hmac.digest(stored_key, (nonce + server_id).encode(), "sha256")
    client_key = bytes(a ^ b for a, b in zip(bytes.fromhex(client_proof), client_signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored_key)
