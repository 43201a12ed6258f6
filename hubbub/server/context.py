"""The context of a server: the parts that all its sessions share, and the function that builds them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as Flag

from hubbub.server.access.hash_pool import HashPool
from hubbub.server.access.limits import CHANGES_PER_SECOND, Limits, LogThrottle
from hubbub.server.access.moderation import Connection, Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.passwords import ServerPassword
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.backend import Backend
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.journal import Journal
from hubbub.server.network.admission import ConnectionLimiter, SubnetRateLimiter
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.membership import Membership
from hubbub.server.rooms.name_claims import NameClaims
from hubbub.server.rooms.presence import Presence
from hubbub.server.rooms.room_access import RoomAccess


@dataclass(frozen=True, slots=True)
class ServerContext:
    """The parts of a server that all sessions share. Any thread may use them; `ChatServer` starts and stops them."""

    connection_limiter: ConnectionLimiter
    change_limiter: SubnetRateLimiter  # of changes of room and name
    membership: Membership
    presence: Presence
    delivery: Delivery
    journal: Journal
    stopping: Flag
    limits: Limits
    log_throttle: LogThrottle
    password: ServerPassword | None  # None: no password is needed
    hash_pool: HashPool
    room_access: RoomAccess
    moderation: Moderation
    list_connections: Callable[[], Sequence[Connection]]  # of all clients, signed in or not
    room_keys: RoomKeys
    ownership: NameOwnership
    backend: Backend


def build_context(
    backend: Backend,
    limits: Limits,
    *,
    password: ServerPassword | None,
    operators: Sequence[str],
    list_connections: Callable[[], Sequence[Connection]],
    stopping: Flag,
    on_failure: Callable[[], None],
) -> ServerContext:
    """Build the parts of a server; nothing is started yet. `on_failure` is called if the delivery thread dies."""
    journal = backend.journal
    delivery = Delivery(journal, backend.sequencer, on_failure=on_failure)
    ownership = NameOwnership(journal, operators=operators)
    moderation, room_keys = Moderation(journal, operators), RoomKeys(journal)
    hash_pool = HashPool()
    directory = Directory(delivery, room_keys)
    claims = NameClaims(directory, ownership, backend)
    membership = Membership(directory, claims, limits, ownership, moderation, room_keys, backend)
    presence = Presence(directory, claims, limits, ownership, moderation, backend)
    backend.attach(
        delivery=delivery,
        directory=directory,
        hold_session=presence.hold_session,
        expel=membership.expel,
        ownership=ownership,
        moderation=moderation,
        room_keys=room_keys,
        list_connections=list_connections,
    )
    return ServerContext(
        connection_limiter=ConnectionLimiter(limits, refuse_banned=moderation.refuse_banned_address),
        change_limiter=SubnetRateLimiter(limits, CHANGES_PER_SECOND, limits.max_clients_per_address),
        membership=membership,
        presence=presence,
        delivery=delivery,
        journal=journal,
        stopping=stopping,
        limits=limits,
        log_throttle=LogThrottle(),
        password=password,
        hash_pool=hash_pool,
        room_access=RoomAccess(membership, delivery, room_keys, hash_pool, limits),
        moderation=moderation,
        list_connections=list_connections,
        room_keys=room_keys,
        ownership=ownership,
        backend=backend,
    )
