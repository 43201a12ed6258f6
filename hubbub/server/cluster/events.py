"""Applies the events of all servers: which member is at which server, facts, and notices."""

from hubbub.server.cluster import scripts
from hubbub.server.cluster.claims import Claims
from hubbub.server.cluster.facts import SharedFacts
from hubbub.server.cluster.redis_client import Entries, RedisClient, log_bad_entries
from hubbub.server.cluster.remote_members import RemoteMembers
from hubbub.server.cluster.shared_session import SharedSession


class EventHandler:
    """Reads and applies events in order. For the follower's thread, and the one that starts the server."""

    def __init__(
        self,
        redis_client: RedisClient,
        claims: Claims,
        remote_members: RemoteMembers,
        facts: SharedFacts,
        position: str,
    ) -> None:
        """Apply the events after the id `position`."""
        self._redis_client = redis_client
        self._claims = claims
        self._remote_members = remote_members
        self._facts = facts
        self._server = redis_client.server
        self.stream = redis_client.key(scripts.EVENTS)
        self.position = position

    def handle(self, entries: Entries) -> None:
        """Apply events; one that cannot be applied is logged and skipped."""
        for id_, fields in entries:
            self.position = id_
            with log_bad_entries():
                self._apply(id_, {field.decode(): value for field, value in fields.items()})

    def load_members(self, lost: frozenset[bytes] = frozenset(), *, with_facts: bool = True) -> None:
        """Bring the directory and the facts up to date with Redis.

        `lost` are token hashes of members of this server that now belong to another server.
        """
        missed = with_facts and self._has_missed_events()
        # The snapshot contains all events up to `last`: apply these first, and continue after them later.
        last, *found = self._redis_client.run_script(scripts.SNAPSHOT)
        events = self._redis_client.execute("XRANGE", self.stream, f"({self.position}", last)
        self.handle([(id_.decode(), fields) for id_, fields in events])
        if missed:
            self._facts.load()
        remote = set()
        for token, home, who, accepted in zip(*[iter(found)] * 4, strict=True):
            if home.decode() == self._server:
                continue
            session = SharedSession.parse(token.decode(), who, accepted)
            remote.add(session.token_hash)
            if session.token_hash in lost or not self._remote_members.is_local(session.token_hash):
                self._remote_members.update(session, home.decode())
        self._remote_members.remove_all_but(remote)

    def _has_missed_events(self) -> bool:
        """Return whether events were dropped before they were read: then the last one that was read is gone, too."""
        return not self._redis_client.execute("XRANGE", self.stream, self.position, self.position)

    def _apply(self, id_: str, event: dict[str, bytes]) -> None:
        is_own = event["by"].decode() == self._server
        if "token" in event:
            token, held = event["token"].decode(), "held" in event
            if (held or not is_own) and not self._claims.is_outdated(token, id_):
                self._apply_session(token, event["home"].decode(), event["who"], held=held)
            self._claims.note_read(id_)
        elif "kind" in event:
            fact = event.get("fact")
            kind, key = event["kind"].decode(), event["key"].decode()
            self._facts.apply(kind, key, fact.decode() if fact else None, is_own=is_own)
        elif not is_own:
            self._remote_members.show_notice(event["room"].decode(), event["text"].decode())

    def _apply_session(self, token: str, home: str, who: bytes, *, held: bool) -> None:
        if held and home == self._server:
            self._remote_members.adopt(
                SharedSession.parse(token, who)
            )  # here, in the order in which all servers see it
        elif held and self._remote_members.is_local(bytes.fromhex(token)):
            return  # the lease of this server ran out; `Recovery` claims its members again
        elif home and home != self._server:
            self._remote_members.update(SharedSession.parse(token, who), home)
        elif not home:
            why = SharedSession.parse(token, who).why if who else ""
            self._remote_members.remove(bytes.fromhex(token), why or "lost")
