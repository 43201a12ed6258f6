"""The context: what all sessions of a server share, and how it is put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as Flag

from hubbub.server.access.limits import Limits, LogThrottle
from hubbub.server.access.moderation import Connection, Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.passwords import Password
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.backend import Backend, Parts
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.journal import Journal
from hubbub.server.network.admission import ConnectionLimiter
from hubbub.server.others import Others
from hubbub.server.rooms.membership import Membership
from hubbub.server.rooms.room_access import RoomAccess


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What all sessions share. Its parts are for any thread; whoever runs the server starts and stops them."""

    gate: ConnectionLimiter
    membership: Membership
    delivery: Delivery
    journal: Journal
    stopping: Flag
    limits: Limits
    log_throttle: LogThrottle
    password: Password | None  # None: anybody may come in
    room_access: RoomAccess
    moderation: Moderation
    guests: Callable[[], Sequence[Connection]]  # all that there are, with or without a name
    locks: RoomKeys
    names: NameOwnership
    others: Others


def build(
    backend: Backend,
    limits: Limits,
    *,
    password: Password | None,
    operators: Sequence[str],
    guests: Callable[[], Sequence[Connection]],
    stopping: Flag,
    on_failure: Callable[[], None],
) -> ServerContext:
    """Put a context together; nothing is started or read yet. `on_failure` is called if the delivery thread dies."""
    journal = backend.journal
    delivery = Delivery(journal, backend.sequencer, on_failure=on_failure)
    names = NameOwnership(journal, kept=operators)  # for who came by the name of an operator could keep moderation
    moderation, locks = Moderation(journal, operators), RoomKeys(journal)
    membership = backend.membership(Parts(delivery, limits, names, moderation, locks, guests))
    return ServerContext(
        gate=ConnectionLimiter(limits, refuse_banned=moderation.refuse_banned_address),
        membership=membership,
        delivery=delivery,
        journal=journal,
        stopping=stopping,
        limits=limits,
        log_throttle=LogThrottle(),
        password=password,
        room_access=RoomAccess(membership, delivery, locks),
        moderation=moderation,
        guests=guests,
        locks=locks,
        names=names,
        others=backend,
    )
