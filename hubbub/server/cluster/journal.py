"""The journal of a chat that many servers share: a Redis stream for each room, which also numbers its lines."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from loguru import logger

from hubbub.protocol import Acted, Said
from hubbub.server.cluster import scripts
from hubbub.server.cluster.claims import skeletons_as_text
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.cluster.shared_session import SharedSession, to_json
from hubbub.server.cluster.subscriptions import Subscriptions
from hubbub.server.delivery.actions import Post
from hubbub.server.journal.journal import (
    KEEP_DAYS,
    KEEP_LINES,
    SESSION_SECONDS,
    JournalError,
    Page,
    page_of_run,
    until_size,
)
from hubbub.server.rooms.room import SessionState

READ_ENTRIES = 100  # of a room's history, read at once; each is a run of one line or many
PURGE_SECONDS = 3_600.0  # between two purges by any server

_WORDS: dict[type[Said | Acted], str] = {Said: "say", Acted: "me"}
_KINDS: dict[bytes, type[Said | Acted]] = {word.encode(): kind for kind, word in _WORDS.items()}


class ClusterJournal:
    """The lines, sessions and facts of a chat in Redis, and its sequencer.

    As a `Journal` its methods are for any thread, and each may wait for Redis; as a `Sequencer` they are for the
    delivery thread alone. All raise JournalError.
    """

    def __init__(
        self,
        redis_client: RedisClient,
        storing: RedisClient,
        subscriptions: Subscriptions,
        *,
        keep_days: float = KEEP_DAYS,
        keep_lines: int = KEEP_LINES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Store batches with the client `storing`, used for that alone; `clock` gives seconds since 1970."""
        self._redis_client = redis_client
        self._storing = storing
        self._subscriptions = subscriptions
        self._keep_seconds = keep_days * 86_400
        self._keep_lines = keep_lines
        self._clock = clock
        self._batch = 1  # the number of the next one; stored again after a lost answer, a batch has the same number

    # ------------------------------------------------------------------------------------------------ as a sequencer

    def store(self, posts: Sequence[Post], sessions: Sequence[SessionState], ended: Sequence[SessionState]) -> None:
        """Store all arguments with one script. Redis sends the lines to every server in the same order."""
        if not (posts or sessions or ended):
            return
        arguments: list[str | int] = [self._batch, len(posts), len(sessions), len(ended)]
        for post in posts:
            arguments += _arguments(post)
        for state in sessions:
            skeletons = skeletons_as_text(state.name)
            arguments += [state.token_hash.hex(), state.accepted, int(state.present), to_json(state), skeletons]
        for state in ended:
            arguments += [state.token_hash.hex(), to_json(state)]
        lasts = dict(_pairs(self._storing.run_script(scripts.APPEND, *arguments)))
        self._batch += 1
        for post in posts:
            assert post.log is not None  # the delivery thread has found it
            post.log.expect(int(lasts[post.room.key.encode()]))

    def check(self) -> None:
        """Do nothing: the lease keeper notices when Redis cannot be reached."""

    def open_room(self, key: str) -> int:
        """Return the SEQ of a room's last line, and follow the room from there on."""
        return self._subscriptions.open(key)

    def close_room(self, key: str) -> None:
        """Stop following a room."""
        self._subscriptions.close(key)

    # ----------------------------------------------------------------------------------------------- as a journal

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, 0 if there is none."""
        return self._redis_client.last_seq(key)

    def room_name(self, key: str) -> str | None:
        """Return the name of a room that has a history, in its first spelling."""
        name = self._redis_client.execute("HGET", self._redis_client.key("spelled"), key)
        return name.decode() if name else None

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        """Return the lines of a room with after < SEQ <= upto that are still stored, until they have `size` bytes."""
        return until_size(self._pages(key, after, upto), size)

    def _pages(self, key: str, after: int, upto: int) -> Iterator[Page]:
        while after < upto:
            entries = self._redis_client.execute(
                "XRANGE", self._redis_client.key(f"room:{key}"), f"0-{after + 1}", "+", "COUNT", READ_ENTRIES
            )
            for id_, fields in entries:
                page = page_of(key, id_.decode(), fields)
                if page.first > upto:
                    return
                yield page.cut(after, upto)
                after = page.last
            if len(entries) < READ_ENTRIES:
                return

    def find_session(self, token_hash: bytes) -> SharedSession | None:
        """Return the session that can be resumed with this token's hash."""
        token = token_hash.hex()
        who = self._redis_client.execute("HGET", self._redis_client.key("who"), token)
        if who is None:
            return None
        accepted = self._redis_client.execute("HGET", self._redis_client.key("accepted"), token)
        return SharedSession.parse(token, who, accepted)

    def list_facts(self, kind: str) -> dict[str, str]:
        """Return the stored facts of this kind."""
        if kind == "server":  # one identity for the whole chat, so a proof is valid at each of its servers
            return {"id": self._redis_client.execute("HGET", self._redis_client.key("meta"), "id").decode()}
        found = self._redis_client.execute("HGETALL", self._redis_client.key(f"fact:{kind}"))
        return {key.decode(): fact.decode() for key, fact in _pairs(found)}

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        """Replace a fact, or delete it with None, and tell the other servers."""
        if kind != "server":
            self._redis_client.run_script(scripts.STORE_FACT, kind, key, *(() if fact is None else (fact,)))

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        """Store a fact unless its key has one, and tell the other servers; return whether it was stored."""
        return bool(self._redis_client.run_script(scripts.ADD_FACT, kind, key, fact))

    def close(self) -> None:
        """Do nothing: the backend closes the clients."""

    # ------------------------------------------------------------------------------------------------------- purging

    def purge(self) -> None:
        """Remove lines and sessions that are too old, if no other server did so in the last hour."""
        client = self._redis_client
        try:
            if not client.execute("SET", client.key("purge"), client.server, "NX", "PX", int(PURGE_SECONDS * 1000)):
                return
        except JournalError as error:  # a full Redis refuses this command, and needs the purge most
            logger.warning("{}; purging all the same", error)
        oldest = int((self._clock() - self._keep_seconds) * 1000)
        for key, last in _pairs(client.execute("HGETALL", client.key("last"))):
            stream = client.key(f"room:{key.decode()}")
            client.execute("XTRIM", stream, "MINID", f"0-{max(0, int(last) - self._keep_lines)}")
            if (first_id := self._first_since(stream, oldest)) is not None:
                client.execute("XTRIM", stream, "MINID", first_id)
        while client.run_script(scripts.PURGE, int((self._clock() - SESSION_SECONDS) * 1000)):
            pass  # there are more

    def _first_since(self, stream: str, oldest: int) -> str | None:
        """Return the id of the first entry that is not too old, or the one after the last; None if the first is not."""
        start, old = "-", ""
        while entries := self._redis_client.execute("XRANGE", stream, start, "+", "COUNT", READ_ENTRIES):
            for id_, fields in entries:
                if int(fields[b"time"]) >= oldest:
                    return id_.decode() if old else None
                old = id_.decode()
            start = f"({old}"
        return f"0-{seq_of(old) + 1}" if old else None


def _arguments(post: Post) -> Iterable[str | int]:
    """Return the arguments of the script APPEND for a post."""
    token = post.member.state.token_hash.hex() if post.member and post.member.state else ""
    known = post.log.stored_seq if post.log else 0
    run = (token, post.number, len(post.texts), "\n".join(post.texts), known)
    return (post.room.key, post.room.name, _WORDS[post.kind], post.name, post.color, *run)


def seq_of(id_: str) -> int:
    """Return the SEQ of the last line of an entry."""
    return int(id_.partition("-")[2])


def page_of(key: str, id_: str, fields: dict[bytes, bytes]) -> Page:
    """Return the lines of an entry of a room's stream."""
    first = seq_of(id_) - int(fields[b"count"]) + 1
    room, name, color = (fields[field].decode() for field in (b"room", b"name", b"color"))
    texts = fields[b"texts"].decode().split("\n")
    return page_of_run(key, room, first, int(fields[b"time"]), _KINDS[fields[b"kind"]], name, color, texts)


def _pairs(found: Any) -> list[tuple[bytes, bytes]]:
    """Return the result of HGETALL, in either form that the library returns."""
    return list(found.items()) if isinstance(found, dict) else list(zip(found[::2], found[1::2], strict=True))
