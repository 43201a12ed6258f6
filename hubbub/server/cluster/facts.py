"""The facts that all servers of a chat share: name owners, room keys, bans and mutes."""

from collections.abc import Callable, Sequence

from hubbub.server.access.moderation import FACT_KINDS as MODERATION_KINDS, Connection, Moderation
from hubbub.server.access.ownership import FACT_KIND as NAME, NameOwnership
from hubbub.server.access.room_keys import FACT_KIND as ROOM_KEY, RoomKeys
from hubbub.server.delivery.actions import ForgetHistory
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.journal import Journal


class SharedFacts:
    """The facts in the memory of this server. For the follower's thread, and the one that starts the server."""

    def __init__(
        self,
        journal: Journal,
        delivery: Delivery,
        ownership: NameOwnership,
        moderation: Moderation,
        room_keys: RoomKeys,
        list_connections: Callable[[], Sequence[Connection]],
    ) -> None:
        self._journal = journal
        self._delivery = delivery
        self._ownership = ownership
        self._moderation = moderation
        self._room_keys = room_keys
        self._list_connections = list_connections

    def apply(self, kind: str, key: str, fact: str | None, *, is_own: bool) -> None:
        """Apply a fact that a server has stored, or deleted if it is None. Raises JournalError."""
        if is_own and kind not in MODERATION_KINDS:  # of two bans at the same time, the later event is valid
            return
        if kind == ROOM_KEY:
            self._room_keys.apply_fact(key, fact)
            if fact is None:
                self._delivery.submit(ForgetHistory(key))  # as on the server that removed the key
        elif kind == NAME:
            self._ownership.apply_fact(key, fact)
        elif (ban := self._moderation.apply_fact(kind, key, fact)) is not None and kind == "ban":
            for connection in self._list_connections():
                if connection.subnet == ban.target:
                    connection.expel(str(ban))

    def load(self) -> None:
        """Apply all stored facts, and drop the others. Raises JournalError."""
        for kind, known in self._known().items():
            stored = self._journal.list_facts(kind)
            for key in {*known, *stored}:
                self.apply(kind, key, stored.get(key), is_own=False)

    def store_again(self) -> None:
        """Store all facts in memory that Redis has lost. Raises JournalError."""
        for kind, known in self._known().items():
            for key, fact in known.items():
                self._journal.add_fact(kind, key, fact)

    def _known(self) -> dict[str, dict[str, str]]:
        """Return the facts in memory, by kind and key."""
        return {
            ROOM_KEY: self._room_keys.stored_facts(),
            NAME: self._ownership.stored_facts(),
            **self._moderation.stored_facts(),
        }
