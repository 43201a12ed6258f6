"""A membership without sockets: the delivery is a list of actions."""

from typing import cast

from hubbub.server.access.limits import Limits
from hubbub.server.access.moderation import Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.backend import LocalBackend
from hubbub.server.delivery.actions import Action, Broadcast
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.membership import Membership
from hubbub.server.rooms.name_claims import NameClaims
from hubbub.server.rooms.presence import Presence
from hubbub.server.rooms.room import Member
from testing.delivery import ListTransport


class Queue:
    """A delivery that only collects what is queued."""

    is_stalled = False

    def __init__(self) -> None:
        self.entries: list[Action] = []

    def enqueue(self, *entries: Action) -> None:
        self.entries.extend(entries)

    def wake(self) -> None:
        """Do nothing."""

    def flush(self, member: Member) -> None:
        """Do nothing."""

    def shown(self) -> list[object]:
        """Return the events for rooms, and clear the queue."""
        events: list[object] = [entry.event for entry in self.entries if isinstance(entry, Broadcast)]
        self.entries.clear()
        return events


class Chat:
    """A membership and presence, their queue, and members in the lobby."""

    def __init__(self, *names: str, limits: Limits | None = None) -> None:
        self.queue = Queue()
        self.delivery = cast(Delivery, self.queue)
        journal, limits = MemoryJournal(), limits or Limits()
        self.backend, self.room_keys, moderation = LocalBackend(journal), RoomKeys(journal), Moderation(journal)
        self.ownership = NameOwnership(journal, clock=lambda: 1.0)
        self.directory = Directory(self.delivery, self.room_keys, clock=lambda: 1.0)
        self.claims = NameClaims(self.directory, self.ownership, self.backend)
        access = (limits, self.ownership, moderation)
        self.membership = Membership(
            self.directory, self.claims, *access, self.room_keys, self.backend, uptime=lambda: 9.5
        )
        self.presence = Presence(self.directory, self.claims, *access, self.backend, uptime=lambda: 9.5)
        self.members = {name: self.sign_in(name) for name in names}
        self.queue.entries.clear()

    def sign_in(self, name: str) -> Member:
        member = Member(ListTransport())
        self.membership.sign_in(member, name, "red", f"token of {name}")
        return member
