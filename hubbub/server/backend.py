"""In whose backend a server runs: alone here, among others in server/cluster/."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hubbub.server.access.limits import Limits
from hubbub.server.access.moderation import Connection, Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.delivery.sequencer import LocalSequencer, Sequencer
from hubbub.server.journal.journal import Journal, LocalJournal
from hubbub.server.others import Nobody, Others
from hubbub.server.rooms.membership import Membership


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server consists of, beside its membership."""

    delivery: Delivery
    limits: Limits
    names: NameOwnership
    moderation: Moderation
    locks: RoomKeys
    connections: Callable[[], Sequence[Connection]]  # all who are connected


class Backend(Others, Protocol):
    """What a server needs to know of the others, and where it keeps what is said. For the thread that makes it."""

    warning: str
    """What whoever starts the server should know, in one line; empty for nothing."""

    @property
    def journal(self) -> Journal:
        """What was said, and by whom."""

    @property
    def sequencer(self) -> Sequencer:
        """Who keeps what is said."""

    def membership(self, parts: Parts) -> Membership:
        """Return the membership of a server that consists of `parts`. To be called once."""

    def start(self) -> None:
        """Be in backend from here on; the membership was started. Raises JournalError."""

    def stop(self) -> None:
        """Leave it, and keep everything for good. Idempotent."""


class LocalBackend(Nobody):
    """Nobody's backend: a journal of one's own."""

    warning = ""

    def __init__(self, journal: LocalJournal) -> None:
        """Take over `journal`, which `stop` closes."""
        self.journal = journal
        self.sequencer = LocalSequencer(journal)

    def membership(self, parts: Parts) -> Membership:
        """Return the membership of a server that consists of `parts`."""
        return Membership(parts.delivery, self.journal, parts.limits, parts.names, parts.moderation, parts.locks)

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Close the journal."""
        self.journal.close()
