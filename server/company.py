"""In whose company a server runs: alone here, among others in server/cluster/."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.delivery import Delivery
from server.journal import Journal, OwnJournal
from server.keeper import Keeper, LoneKeeper
from server.limits import Limits
from server.locks import Locks
from server.names import Names
from server.order import Guest, Order
from server.others import Nobody, Others
from server.registry import Registry


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server consists of, beside its registry."""

    delivery: Delivery
    limits: Limits
    names: Names
    order: Order
    locks: Locks
    guests: Callable[[], Sequence[Guest]]  # all who are connected


class Company(Others, Protocol):
    """What a server needs to know of the others, and where it keeps what is said. For the thread that makes it."""

    warning: str
    """What whoever starts the server should know, in one line; empty for nothing."""

    @property
    def journal(self) -> Journal:
        """What was said, and by whom."""

    @property
    def keeper(self) -> Keeper:
        """Who keeps what is said."""

    def registry(self, parts: Parts) -> Registry:
        """Return the registry of a server that consists of `parts`. To be called once."""

    def start(self) -> None:
        """Be in company from here on; the registry was started. Raises JournalError."""

    def stop(self) -> None:
        """Leave it, and keep everything for good. Idempotent."""


class Alone(Nobody):
    """Nobody's company: a journal of one's own."""

    warning = ""

    def __init__(self, journal: OwnJournal) -> None:
        """Take over `journal`, which `stop` closes."""
        self.journal = journal
        self.keeper = LoneKeeper(journal)

    def registry(self, parts: Parts) -> Registry:
        """Return the registry of a server that consists of `parts`."""
        return Registry(parts.delivery, self.journal, parts.limits, parts.names, parts.order, parts.locks)

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Close the journal."""
        self.journal.close()
