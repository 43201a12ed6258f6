"""The backend of a server in a cluster: builds, starts and stops the parts that share the chat over Redis.

It has four threads:

    follower    reads the lines of rooms, events and the inbox; claims this server's members again after a cut
    outbound    sends requests and notices, so that no session waits for Redis
    lease       renews the lease of this server, and adopts the members of servers without a lease
    purge       removes old lines and sessions
"""

import secrets
import time
from collections.abc import Callable, Sequence

from loguru import logger

from hubbub.server.access.moderation import Connection, Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.cluster import scripts
from hubbub.server.cluster.claims import Claims
from hubbub.server.cluster.events import EventHandler
from hubbub.server.cluster.facts import SharedFacts
from hubbub.server.cluster.follower import StreamFollower
from hubbub.server.cluster.inbox import Inbox
from hubbub.server.cluster.journal import ClusterJournal
from hubbub.server.cluster.lease_keeper import LEASE_SECONDS, LeaseKeeper
from hubbub.server.cluster.outbound import Outbound, token_hash
from hubbub.server.cluster.purger import Purger
from hubbub.server.cluster.recovery import Recovery
from hubbub.server.cluster.redis_client import Reader, RedisClient
from hubbub.server.cluster.remote_members import RemoteMember, RemoteMembers
from hubbub.server.cluster.subscriptions import Subscriptions
from hubbub.server.delivery.actions import DeliverPrivately, Reply
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.journal import KEEP_DAYS, KEEP_LINES, JournalError
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.room import Member, SessionState

IDENTITY_BYTES = 16  # 128 random bits
READ_SECONDS = 10.0  # one read waits so long for entries; then the next read begins


class ClusterBackend:
    """The backend of a server in a cluster. One thread creates, attaches, starts and stops it."""

    def __init__(
        self,
        url: str,
        chat: str,
        *,
        keep_days: float = KEEP_DAYS,
        keep_lines: int = KEEP_LINES,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """Connect to Redis, and create the chat there if it does not exist. Raises JournalError, with what to do.

        All servers of a chat need the same `lease_seconds`.
        """
        self.id = secrets.token_hex(8)
        self._redis_client = RedisClient(url, chat, self.id)
        self._redis_client.open_chat(secrets.token_hex(IDENTITY_BYTES))
        storing, self._leasing = (RedisClient(url, chat, self.id, beside=self._redis_client) for _ in range(2))
        self._redis_clients = (self._redis_client, storing, self._leasing)
        self.warning = self._redis_client.durability_warning()
        self._reader = Reader(url, READ_SECONDS)
        self._claims = Claims(self._redis_client)
        self._outbound = Outbound(self._redis_client, self._reply)
        self._subscriptions = Subscriptions(
            self._redis_client, lambda: self._outbound.run(self._redis_client.wake_follower)
        )
        self.journal = ClusterJournal(
            self._redis_client, storing, self._subscriptions, keep_days=keep_days, keep_lines=keep_lines
        )
        self._lease_seconds = lease_seconds
        # Read before anything else of the chat, so that no event is missed.
        self._last_event = self._redis_client.last_event()
        self._identity = self.journal.list_facts("server")["id"]
        self._is_stopped = False
        self._threads: tuple[Purger | Outbound | StreamFollower | LeaseKeeper, ...] = ()  # in the order of their start
        self._delivery: Delivery
        self._remote_members: RemoteMembers
        self._events: EventHandler
        self._recovery: Recovery
        self._lease_keeper: LeaseKeeper

    @property
    def sequencer(self) -> ClusterJournal:
        """The journal, which also numbers lines."""
        return self.journal

    def attach(
        self,
        *,
        delivery: Delivery,
        directory: Directory,
        hold_session: Callable[[SessionState], None],
        expel: Callable[[Member, str], object],
        ownership: NameOwnership,
        moderation: Moderation,
        room_keys: RoomKeys,
        list_connections: Callable[[], Sequence[Connection]],
    ) -> None:
        """Build the parts that need those of the server. Called once."""
        self._delivery = delivery
        self._remote_members = RemoteMembers(directory, hold_session)
        facts = SharedFacts(self.journal, delivery, ownership, moderation, room_keys, list_connections)
        self._events = EventHandler(self._redis_client, self._claims, self._remote_members, facts, self._last_event)
        self._lease_keeper = LeaseKeeper(
            self._leasing,
            self._lease_seconds,
            on_attempt=lambda: self._outbound.end_waiting(time.monotonic() - self._lease_seconds),
            on_renewal=lambda: self._claims.retry(self._remote_members.is_local),
        )
        inbox = Inbox(self._redis_client, self._outbound, self._remote_members, delivery, expel)
        follower = self._make_follower(inbox, facts)
        self._threads = (Purger(self.journal), self._outbound, follower, self._lease_keeper)

    def _make_follower(self, inbox: Inbox, facts: SharedFacts) -> StreamFollower:
        redis_client, subscriptions, remote_members = self._redis_client, self._subscriptions, self._remote_members
        self._recovery = Recovery(
            redis_client,
            self._identity,
            subscriptions,
            self._claims,
            remote_members,
            facts,
            self._events,
            self._lease_keeper,
        )
        return StreamFollower(
            redis_client,
            self._reader,
            subscriptions,
            self._events,
            inbox,
            self._recovery,
            remote_members,
            self._delivery,
        )

    def start(self) -> None:
        """Announce this server, load the members of the others, and start the threads. Raises JournalError."""
        self._lease_keeper.take()
        self._events.load_members()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Give up the lease, so that other servers adopt the members, and join every thread. Idempotent."""
        if self._is_stopped:
            return
        self._is_stopped = True
        for thread in reversed(self._threads):
            thread.stop()
        inbox = self._redis_client.inbox_key(self.id)
        try:
            self._redis_client.execute("DEL", self._redis_client.key(f"lease:{self.id}"), inbox)
        except JournalError as error:
            logger.error("{}; the other servers wait for {:g} s", error, self._lease_seconds)
        self._reader.close()
        for client in self._redis_clients:
            client.close()

    # --------------------------------------------------------------------------------------------- sessions

    def claim_name(self, name: str, token_hash: bytes, rival: bytes = b"") -> bool:
        """Claim a session for this server, and a name and its confusable names for the session."""
        granted = self._claims.claim(token_hash.hex(), name, rival.hex())
        if granted and rival:
            self._remote_members.remove(rival, "lost")
        return granted

    def release_name(self, token_hash: bytes, current: str) -> None:
        """Release all names of a session except `current`. If that is empty, release the session, too."""
        self._claims.release(token_hash.hex(), current)

    def held_sessions(self) -> list[SessionState]:
        """Return none: the other servers have adopted the members of the last run."""
        return []

    def restore_session(self, token_hash: bytes, state: SessionState | None) -> SessionState | None:
        """Return `state` if the member is connected here; else return the session that Redis stores."""
        member = self._remote_members.find(token_hash)
        if state is not None and member is not None and not isinstance(member, RemoteMember) and not member.absent:
            return state
        session = self.journal.find_session(token_hash)
        return self._remote_members.restore(session) if session else state

    # --------------------------------------------------------------------------------------------- rooms and members

    def prepare_room(self, key: str, seq: int = 0) -> None:
        """Find out the last SEQ of a room, and wait for its lines up to `seq`."""
        self._subscriptions.prepare(key, seq)

    def forward_private(self, message: DeliverPrivately) -> bool:
        """Send a private message to the server of its recipient; return False if that is this server."""
        if not isinstance(message.recipient, RemoteMember):
            return False
        self._outbound.send_private(message, message.recipient.home)
        return True

    def forward_expulsion(self, member: Member, action: str) -> bool:
        """Ask the server of a member to expel them; return False if that is this server."""
        if not isinstance(member, RemoteMember):
            return False
        self._outbound.send(member.home, "do", "expel", "token", token_hash(member).hex(), "deed", action)
        return True

    def relay_notice(self, key: str, text: str) -> None:
        """Show a notice to everyone who is in a room at another server."""
        self._outbound.run(lambda: self._redis_client.run_script(scripts.NOTICE, key, text))

    def _reply(self, sender: bytes, data: bytes) -> None:
        """Send lines to the sender of a private message."""
        if (member := self._remote_members.find(sender)) is not None:
            self._delivery.submit(Reply(member, data))
