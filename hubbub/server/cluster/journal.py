"""The journal of a chat that many servers share: a Redis stream for each room, which also numbers what is said."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from loguru import logger

from hubbub.protocol import Acted, Said
from hubbub.server.cluster import scripts
from hubbub.server.cluster.leases import looks_as_text
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.cluster.subscriptions import Subscriptions
from hubbub.server.delivery.actions import Post
from hubbub.server.journal.journal import (
    KEEP_DAYS,
    KEEP_LINES,
    SESSION_SECONDS,
    JournalError,
    Page,
    SessionRow,
    page_of_run,
    until_size,
)

READ_ENTRIES = 100  # read at once of a room's past, each a run of one line or many
PURGE_SECONDS = 3_600.0  # between two looks for what is too old

_WORDS: dict[type[Said | Acted], str] = {Said: "say", Acted: "me"}
_KINDS: dict[bytes, type[Said | Acted]] = {word.encode(): kind for kind, word in _WORDS.items()}


class ClusterJournal:
    """Keeps in Redis what all servers of a chat have said, and is the delivery thread's sequencer.

    As a `Journal` its methods are for any thread, and each may wait for Redis; as a `Keeper` they are for the delivery
    thread alone. All raise JournalError.
    """

    def __init__(
        self,
        link: RedisClient,
        keeping: RedisClient,
        rooms: Subscriptions,
        *,
        keep_days: float = KEEP_DAYS,
        keep_lines: int = KEEP_LINES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep through a link for that alone, `keeping`; `clock` gives seconds since 1970."""
        self._link = link
        self._keeping = keeping
        self._rooms = rooms
        self._keep_seconds = keep_days * 86_400
        self._keep_lines = keep_lines
        self._clock = clock
        self._batch = 1  # the number of the next one; a batch that was kept, though nobody heard so, has it again

    # ------------------------------------------------------------------------------------------------ as a sequencer

    def store(self, posts: Sequence[Post], sessions: Sequence[SessionRow], ended: Sequence[SessionRow]) -> None:
        """Keep all of it, in one step; what was said comes back from Redis, to every server in the same order."""
        if not (posts or sessions or ended):
            return
        arguments: list[str | int] = [self._batch, len(posts), len(sessions), len(ended)]
        for post in posts:
            arguments += _arguments(post)
        for row in sessions:
            looks = looks_as_text(row.name)
            arguments += [row.token_hash.hex(), row.accepted, int(row.present), to_json(row), looks]
        for row in ended:
            arguments += [row.token_hash.hex(), to_json(row)]
        lasts = dict(_pairs(self._keeping.run(scripts.APPEND, *arguments)))
        self._batch += 1
        for post in posts:
            assert post.log is not None  # the delivery thread has found it
            post.log.expect(int(lasts[post.room.key.encode()]))

    def open_room(self, key: str) -> int:
        """Return the SEQ of a room's last line; what is said there comes from now on."""
        return self._rooms.open(key)

    def close_room(self, key: str) -> None:
        """Want nothing more of a room."""
        self._rooms.shut(key)

    # ----------------------------------------------------------------------------------------------- as a journal

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, 0 where there is none."""
        return int(self._link.ask("HGET", self._link.key("last"), key) or 0)

    def room_name(self, key: str) -> str | None:
        """Return how a room that has a past is written."""
        spelled = self._link.ask("HGET", self._link.key("spelled"), key)
        return spelled.decode() if spelled else None

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        """Return the lines of a room with after < SEQ <= upto that are still kept, until they have `size` bytes."""
        return until_size(self._pages(key, after, upto), size)

    def _pages(self, key: str, after: int, upto: int) -> Iterator[Page]:
        while after < upto:
            entries = self._link.ask(
                "XRANGE", self._link.key(f"room:{key}"), f"0-{after + 1}", "+", "COUNT", READ_ENTRIES
            )
            for id_, fields in entries:
                page = page_of(key, id_.decode(), fields)
                if page.first > upto:
                    return
                yield page.cut(after, upto)
                after = page.last
            if len(entries) < READ_ENTRIES:
                return

    def find_session(self, token_hash: bytes) -> SessionRow | None:
        """Return the session that may be resumed with this token's hash."""
        token = token_hash.hex()
        who = self._link.ask("HGET", self._link.key("who"), token)
        if who is None:
            return None
        return row_of(token, who, self._link.ask("HGET", self._link.key("accepted"), token))

    def list_present(self) -> list[SessionRow]:
        """Return nobody: a server that starts learns from the others who is here, and adopts whom the dead left."""
        return []

    def list_facts(self, kind: str) -> dict[str, str]:
        """Return what is kept of this kind."""
        if kind == "server":  # all are the same one to whoever proves who he is
            return {"id": self._link.ask("HGET", self._link.key("meta"), "id").decode()}
        found = self._link.ask("HGETALL", self._link.key(f"fact:{kind}"))
        return {key.decode(): fact.decode() for key, fact in _pairs(found)}

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        """Keep a fact instead of the one before, or none, and tell the other servers."""
        if kind != "server":
            self._link.run(scripts.KEEP_FACT, kind, key, *(() if fact is None else (fact,)))

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        """Keep a fact where no server has kept one, and tell the others; return whether that is done."""
        return bool(self._link.run(scripts.ADD_FACT, kind, key, fact))

    def close(self) -> None:
        """Do nothing: whoever made the link closes it."""

    # ------------------------------------------------------------------------------------------------ keeping tidy

    def purge(self) -> None:
        """Forget the lines and the sessions that are older than they are kept, if no other server did just now."""
        link = self._link
        try:
            if not link.ask("SET", link.key("purge"), link.server, "NX", "PX", int(PURGE_SECONDS * 1000)):
                return
        except JournalError as error:  # a Redis that is full takes nothing: the more reason to forget something
            logger.warning("{}; forgetting what is old all the same", error)
        oldest = int((self._clock() - self._keep_seconds) * 1000)
        for key, last in _pairs(link.ask("HGETALL", link.key("last"))):
            stream = link.key(f"room:{key.decode()}")
            link.ask("XTRIM", stream, "MINID", f"0-{max(0, int(last) - self._keep_lines)}")
            if (kept := self._first_since(stream, oldest)) is not None:
                link.ask("XTRIM", stream, "MINID", kept)
        while link.run(scripts.PURGE, int((self._clock() - SESSION_SECONDS) * 1000)):
            pass  # there are more

    def _first_since(self, stream: str, oldest: int) -> str | None:
        """Return the id of the first entry that is not too old, or behind the last; None if the first is not."""
        start, old = "-", ""
        while entries := self._link.ask("XRANGE", stream, start, "+", "COUNT", READ_ENTRIES):
            for id_, fields in entries:
                if int(fields[b"time"]) >= oldest:
                    return id_.decode() if old else None
                old = id_.decode()
            start = f"({old}"
        return f"0-{seq_of(old) + 1}" if old else None


def _arguments(post: Post) -> Iterable[str | int]:
    """Return what the script APPEND takes for a post."""
    token = post.member.state.token_hash.hex() if post.member and post.member.state else ""
    known = post.log.stored_seq if post.log else 0
    run = (token, post.number, len(post.texts), "\n".join(post.texts), known)
    return (post.room.key, post.room.name, _WORDS[post.kind], post.name, post.color, *run)


def seq_of(id_: str) -> int:
    """Return the SEQ that the id of an entry is."""
    return int(id_.partition("-")[2])


def page_of(key: str, id_: str, fields: dict[bytes, bytes]) -> Page:
    """Return the lines of an entry of a room's stream."""
    first = seq_of(id_) - int(fields[b"count"]) + 1
    room, name, color = (fields[field].decode() for field in (b"room", b"name", b"color"))
    texts = fields[b"texts"].decode().split("\n")
    return page_of_run(key, room, first, int(fields[b"time"]), _KINDS[fields[b"kind"]], name, color, texts)


def to_json(row: SessionRow) -> str:
    """Return what the other servers are to know of a session."""
    fields = ("name", "color", "room", "present", "lock", "verifier", "away", "why")
    return json.dumps({field: getattr(row, field) for field in fields}, ensure_ascii=False)


def row_of(token: str, who: bytes, accepted: bytes | None) -> SessionRow:
    """Return a session as Redis has it."""
    return SessionRow(bytes.fromhex(token), accepted=int(accepted or 0), seen=0, **json.loads(who))


def _pairs(found: Any) -> list[tuple[bytes, bytes]]:
    """Return what HGETALL has found, in whatever form the library gives it."""
    return list(found.items()) if isinstance(found, dict) else list(zip(found[::2], found[1::2], strict=True))
