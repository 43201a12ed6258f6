"""The part of a server in a chat of many: what it tells the others, what it hears of them, and its lease.

Four threads of its own:

    follower    waits for what comes into the rooms that somebody here is in, for news of all and orders for this
                server; after a cut, it takes back what is ours
    messenger   carries what must not make anybody wait, see there
    lease       renews the lease of this server, and has it adopt the people of those that have none any more
    tidying     forgets what is too old
"""

import secrets
import threading
import time
from collections.abc import Iterator, Sequence, Set
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from loguru import logger

from hubbub.server.access.moderation import FACT_KINDS as SENTENCES
from hubbub.server.access.ownership import FACT_KIND as NAME
from hubbub.server.access.room_keys import FACTS as LOCK
from hubbub.server.backend import Parts
from hubbub.server.cluster import scripts
from hubbub.server.cluster.journal import ClusterJournal, page_of, row_of, seq_of
from hubbub.server.cluster.leases import Leases
from hubbub.server.cluster.membership import ClusterMembership
from hubbub.server.cluster.outbound import Outbound, token_hash
from hubbub.server.cluster.redis_client import Entries, Found, Reader, RedisClient
from hubbub.server.cluster.subscriptions import Subscriptions
from hubbub.server.delivery.actions import DeliverPrivately, ForgetHistory, Publish, Reply
from hubbub.server.journal.journal import KEEP_DAYS, KEEP_LINES, JournalError
from hubbub.server.rooms.room import Member

T = TypeVar("T")
IDENTITY_BYTES = 16  # 128 random bits
LEASE_SECONDS = 15.0  # that the others wait for a server of which nothing is heard
RENEWALS = 5  # of a lease while it lasts
RETRY_SECONDS = 0.5  # between two tries to reach a Redis that is away
READ_SECONDS = 10.0  # of waiting for what comes; then the same again
GATHER_SECONDS = 0.002  # between two reads: each names every room that is followed, and what comes meanwhile gathers
READ_ENTRIES = 100  # at once of a stream
PEOPLE_AT_ONCE = 100  # taken back in one step
ROOMS_AT_ONCE = 1_000  # of which it is said how far they are known
TIDY_SECONDS = 600.0  # between two looks whether it is time to forget what is old


class ClusterBackend:
    """The `server.backend.Company` of a server among others. Made, started and stopped by one thread."""

    exist = True

    def __init__(
        self,
        url: str,
        chat: str,
        *,
        keep_days: float = KEEP_DAYS,
        keep_lines: int = KEEP_LINES,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """Reach Redis and find this chat there, or begin it. Raises JournalError, with what to do.

        All servers of a chat need the same `lease_seconds`.
        """
        self._lease_seconds = lease_seconds
        self.id = secrets.token_hex(8)
        self._link = RedisClient(url, chat, self.id)
        self._link.begin(secrets.token_hex(IDENTITY_BYTES))
        keeping, self._lease = (RedisClient(url, chat, self.id, beside=self._link) for _ in range(2))
        self._links = (self._link, keeping, self._lease)
        self.warning = self._link.forgetful
        self._claims = Leases(self._link)
        self._messenger = Outbound(self._link, self._answer)
        self._rooms = Subscriptions(self._link, lambda: self._messenger.do(self._poke))
        self.journal = ClusterJournal(self._link, keeping, self._rooms, keep_days=keep_days, keep_lines=keep_lines)
        self._reader = Reader(url, READ_SECONDS)
        self._news = self._link.key("news")
        self._inbox = self._link.key(f"inbox:{self.id}")
        self._room_prefix = self._link.key("room:")
        # What the follower has read; before anything is known of the chat, so that nothing falls between.
        self._places = {self._news: self._last_news(), self._inbox: "0-0"}
        self._identity = self.journal.list_facts("server")["id"]
        self._stopping = threading.Event()
        self._steady_since = 0.0  # seconds of the monotonic clock: since when the lease holds without a break
        self._lapses = 0  # how often the lease has run out; the thread of the lease counts
        self._lapses_mended = 0  # after how many of them the follower has taken back what is ours
        self._threads = [
            threading.Thread(target=work, name=name)  # joined by stop
            for work, name in ((self._follow, "follower"), (self._keep_lease, "lease"), (self._tidy, "tidying"))
        ]
        self._parts: Parts
        self._membership: ClusterMembership

    def _last_news(self) -> str:
        entries = self._link.ask("XREVRANGE", self._news, "+", "-", "COUNT", 1)
        return str(entries[0][0].decode()) if entries else "0-0"

    @property
    def sequencer(self) -> ClusterJournal:
        """Who keeps what is said: for that is what all share."""
        return self.journal

    def membership(self, parts: Parts) -> ClusterMembership:
        """Return the membership of a server that consists of `parts`. To be called once."""
        self._parts = parts
        self._membership = ClusterMembership(
            parts.delivery, self.journal, parts.limits, parts.names, parts.moderation, parts.locks, self
        )
        return self._membership

    def start(self) -> None:
        """Have the others know of this server, know of their people, and start the threads. Raises JournalError."""
        self._lease.renew(self._lease_seconds)
        self._steady_since = time.monotonic()
        self._look_around()
        self._messenger.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Leave the people of this server to the others, and join every thread. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._link.trouble.set()  # which wakes the lease's thread
        try:
            self._poke()
        except JournalError:
            self._reader.interrupt()
        self._messenger.stop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        try:
            self._link.ask("DEL", self._link.key(f"lease:{self.id}"), self._inbox)
        except JournalError as error:
            logger.error("{}; the others wait for {:g} s", error, self._lease_seconds)
        self._reader.close()
        for link in self._links:
            link.close()

    # ------------------------------------------------------------------------------------------------ as the others

    def claim(self, name: str, token_hash: bytes, rival: bytes = b"") -> bool:
        """Have a session be served here, and a name with all that looks like it be its own; return whether it is."""
        return self._claims.claim(token_hash.hex(), name, rival.hex())

    def disclaim(self, token_hash: bytes, name: str) -> None:
        """Give up what was claimed but `name`; without one, give up the session as well."""
        self._claims.disclaim(token_hash.hex(), name)

    def watch(self, key: str, seq: int = 0) -> None:
        """See to it that what is said in a room comes from when somebody enters it, who has it up to `seq`."""
        self._rooms.watch(key, seq)

    def tell(self, told: DeliverPrivately) -> None:
        """Have the server that serves `told.recipient` bring it to him, or back what he could not be told."""
        self._messenger.tell(told)

    def expel(self, member: Member, action: str) -> None:
        """Have the server that serves a member make him leave."""
        self._messenger.send(member.elsewhere, "do", "expel", "token", token_hash(member).hex(), "deed", action)

    def show_notice(self, key: str, text: str) -> None:
        """Have the others show a notice to all in a room."""
        self._messenger.do(lambda: self._link.run(scripts.NOTE, key, text))

    def _answer(self, author: bytes, data: bytes) -> None:
        if (member := self._membership.find_session(author)) is not None:
            self._parts.delivery.submit(Reply(member, data))

    def _poke(self) -> None:
        """Have the follower look anew which rooms are wanted."""
        self._link.ask("XADD", self._inbox, "MAXLEN", "~", scripts.INBOX_KEPT, "*", "do", "look")

    # ------------------------------------------------------------------------------------------------- the follower

    def _follow(self) -> None:
        away, read_at = False, 0.0
        while not self._stopping.wait(max(0.0, read_at + GATHER_SECONDS - time.monotonic())):
            places = {self._room_prefix + key: f"0-{seq}" for key, seq in self._rooms.places().items()}
            try:
                self._mend()
                found = self._reader.read(places | self._places, READ_ENTRIES)
                away, read_at = False, time.monotonic()
            except Exception as error:  # noqa: BLE001  # whatever it is: the thread must go on, and so must its log
                if not away and not self._stopping.is_set():
                    logger.error("cannot read what the other servers say: {}; trying again", error)
                away = True
                self._stopping.wait(RETRY_SECONDS)
                continue
            for stream, entries in self._in_order(found):
                self._take(stream, entries)
            if inbox := found.get(self._inbox):
                done = [id_ for id_, _ in inbox]  # and no private message is to lie about in Redis
                self._messenger.do(partial(self._link.ask, "XDEL", self._inbox, *done))
            self._parts.delivery.wait_for_space()

    def _in_order(self, found: Found) -> Iterator[tuple[str, Entries]]:
        """Cut what was read at once, so that it comes in the order in which it happened: who says something and goes.

        What happened in the same millisecond was, as a rule, one script, in which what is said comes first.
        """
        if self._news in found:
            timed = [(_time_of(id_, fields), stream, id_, fields) for stream in found for id_, fields in found[stream]]
            timed.sort(key=itemgetter(0))  # which leaves those of the same time as they are: rooms, news, inbox
            for stream, entries in groupby(timed, key=itemgetter(1)):
                yield stream, [(id_, fields) for _, _, id_, fields in entries]
        else:
            yield from found.items()

    def _take(self, stream: str, entries: Entries) -> None:
        try:
            if stream.startswith(self._room_prefix):
                self._take_lines(stream.removeprefix(self._room_prefix), entries)
                return
            for id_, fields in entries:
                self._places[stream] = id_
                told = {field.decode(): value for field, value in fields.items()}
                if stream == self._inbox:
                    self._take_order(told)
                else:
                    self._take_news(id_, told)
        except Exception:  # noqa: BLE001  # a bug, or data of another version: the rest must go on
            logger.exception("something that came from the other servers is left out")

    def _take_lines(self, key: str, entries: Entries) -> None:
        try:
            self._parts.delivery.submit(*(Publish(page_of(key, id_, fields)) for id_, fields in entries))
        finally:
            self._rooms.read(key, seq_of(entries[-1][0]))  # after it: who waits for that comes after these lines
        self._membership.note_speakers({fields[b"name"].decode() for _, fields in entries})

    def _take_news(self, id_: str, news: dict[str, bytes]) -> None:
        ours = news["by"].decode() == self.id
        if "token" in news:
            token, held = news["token"].decode(), "held" in news
            if (held or not ours) and not self._claims.is_outdated(token, id_):
                self._take_person(token, news["home"].decode(), news["who"], held=held)
            self._claims.read(id_)
        elif "kind" in news:
            kind, fact = news["kind"].decode(), news.get("fact")
            if not ours or kind in SENTENCES:  # which of two passed at once holds, the order here says
                self._take_fact(kind, news["key"].decode(), fact.decode() if fact else None)
        elif not ours:
            self._membership.show_notice(news["room"].decode(), news["text"].decode())

    def _take_person(self, token: str, home: str, who: bytes, *, held: bool) -> None:
        if held and home == self.id:
            self._membership.adopt(row_of(token, who, None))  # here, in the order in which all see it
        elif held and self._membership.serves(bytes.fromhex(token)):
            return  # we were taken for dead, and the thread of the lease takes back what is ours
        elif home and home != self.id:
            self._membership.mirror(row_of(token, who, None), home)
        elif not home:
            self._membership.unmirror(bytes.fromhex(token), (who and row_of(token, who, None).why) or "lost")

    def _take_fact(self, kind: str, key: str, fact: str | None) -> None:
        if kind == LOCK:
            self._parts.locks.apply_fact(key, fact)
            if fact is None:
                self._parts.delivery.submit(ForgetHistory(key))  # what was said behind it, as where it was taken off
        elif kind == NAME:
            self._parts.names.apply_fact(key, fact)
        elif (ban := self._parts.moderation.apply_fact(kind, key, fact)) is not None and kind == "ban":
            for connection in self._parts.connections():
                if connection.subnet == ban.target:
                    connection.expel(str(ban))

    def _take_order(self, order: dict[str, bytes]) -> None:
        do = order["do"].decode()
        if do == "tell":
            self._bring(order)
        elif do == "answer":
            self._messenger.answered(int(order["number"]), order["data"])
        elif do == "expel" and (member := self._member(order["token"])) is not None and not member.elsewhere:
            self._membership.expel(member, order["deed"].decode())

    def _bring(self, order: dict[str, bytes]) -> None:
        """Bring somebody here a private message, and its author a copy, or why it did not arrive."""
        server, number = order["back"].decode(), order["number"]

        def answer(data: bytes) -> None:
            self._messenger.send(server, "do", "answer", "number", number, "data", data)

        member = self._member(order["to"])
        if member is None or member.elsewhere or member.away:
            answer(order["refusal"])
        else:
            self._parts.delivery.submit(DeliverPrivately(member, member, order["data"], order["refusal"], answer))

    def _member(self, token: bytes) -> Member | None:
        return self._membership.find_session(bytes.fromhex(token.decode()))

    # ------------------------------------------------------------------ the follower, after a cut and at the start

    def _mend(self) -> None:
        """Have the others know again who is here, and know again who is there, if the lease has run out."""
        if (lapses := self._lapses) == self._lapses_mended:
            return
        self._number_on()
        made = self._link.begin(self._identity)
        if made:
            logger.error("Redis has lost everything; what this server knows is kept anew")
            self._keep_facts_again()
        lost = self._take_back()
        self._look_around({token_hash(member) for member in lost}, learn=not made)
        for member in lost:
            self._membership.drop(member)
        self._lapses_mended = lapses

    def _number_on(self) -> None:
        """See to it that no SEQ is given out again which somebody here has seen, whatever Redis has lost."""
        for rooms in _chunks(list(self._rooms.known().items()), ROOMS_AT_ONCE):
            self._link.run(scripts.NUMBER_ON, *(argument for room in rooms for argument in room))

    def _take_back(self) -> list[Member]:
        """Claim anew all who are here; return those who are somebody else's by now, or whose names are."""
        lost = []
        for people in _chunks(self._membership.own(), PEOPLE_AT_ONCE):
            ours = self._claims.take_back([(token_hash(member).hex(), member.name) for member in people])
            for member, is_ours in zip(people, ours, strict=True):
                if is_ours:
                    self._membership.keep_again(member)
                else:
                    lost.append(member)
        return lost

    def _look_around(self, lost: Set[bytes] = frozenset(), *, learn: bool = True) -> None:
        """Know of everybody who is at another server, and of nobody else; those here stay, but those who are `lost`.

        Who is where is true at a place in the news, so these are read up to there first, and on from there afterwards.
        With `learn`, know all that is kept, if some of the news that told it are gone.
        """
        missed = learn and self._has_missed_news()
        last, *found = self._link.run(scripts.SNAPSHOT)
        news = self._link.ask("XRANGE", self._news, f"({self._places[self._news]}", last)
        self._take(self._news, [(id_.decode(), fields) for id_, fields in news])
        if missed:
            self._learn_facts()
        there = [(row_of(token.decode(), who, last), home.decode()) for token, home, who, last in _chunks(found, 4)]
        elsewhere = [(row, home) for row, home in there if home != self.id]
        for row, home in elsewhere:
            if row.token_hash in lost or not self._membership.serves(row.token_hash):
                self._membership.mirror(row, home)
        self._membership.forget_others({row.token_hash for row, _ in elsewhere})

    def _has_missed_news(self) -> bool:
        """Return whether news may have been dropped before they were read: then the last one that was is gone, too."""
        place = self._places[self._news]
        return not self._link.ask("XRANGE", self._news, place, place)

    def _facts(self) -> dict[str, dict[str, str]]:
        """Return what is known here of all that is kept: facts, by their kind and key."""
        return {
            LOCK: self._parts.locks.facts(),
            NAME: self._parts.names.stored_facts(),
            **self._parts.moderation.stored_facts(),
        }

    def _learn_facts(self) -> None:
        for kind, known in self._facts().items():
            kept = self.journal.list_facts(kind)
            for key in {*known, *kept}:
                self._take_fact(kind, key, kept.get(key))

    def _keep_facts_again(self) -> None:
        for kind, known in self._facts().items():
            for key, fact in known.items():
                self.journal.add_fact(kind, key, fact)

    # --------------------------------------------------------------------------------------------------- the lease

    def _keep_lease(self) -> None:
        while True:
            self._link.trouble.clear()
            if self._stopping.is_set():  # looked at after that, so that `stop` is never missed
                return
            self._messenger.end_waiting(time.monotonic() - self._lease_seconds)
            try:
                self._renew()
                self._link.trouble.wait(self._lease_seconds / RENEWALS)
                continue
            except JournalError as error:
                if self._steady_since:
                    logger.error("{}; trying again", error)
                self._steady_since = 0.0
            except Exception:  # noqa: BLE001  # a bug must not end the thread that all others need
                logger.exception("the lease could not be seen to")
            self._stopping.wait(RETRY_SECONDS)

    def _renew(self) -> None:
        had, dead = self._lease.renew(self._lease_seconds)
        now = time.monotonic()
        if not self._steady_since:
            logger.info("Redis can be reached again")
            self._steady_since = now
        if not had:
            logger.warning("the lease of this server had run out; taking back what is ours")
            self._steady_since = now
            self._lapses += 1
            self._poke()
        self._claims.retry(self._membership.serves)
        if now - self._steady_since >= self._lease_seconds:  # who was cut off with us has had time to come back, too
            for server in dead:
                self._adopt(server)

    def _adopt(self, server: str) -> None:
        people = self._link.run(scripts.ADOPT, server)  # who they are, the follower hears
        logger.info("server {} is gone; holding the places of {} people", server, people)

    # ------------------------------------------------------------------------------------------------------- tidying

    def _tidy(self) -> None:
        while not self._stopping.wait(TIDY_SECONDS):
            try:
                self.journal.purge()
            except JournalError as error:
                logger.error("{}; what is too old is forgotten later", error)
            except Exception:  # noqa: BLE001  # a bug must not end the thread: then nothing would be forgotten any more
                logger.exception("what is too old could not be forgotten")


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `items` in parts of `size`; the last one may be shorter."""
    return (items[at : at + size] for at in range(0, len(items), size))


def _time_of(id_: str, fields: dict[bytes, bytes]) -> int:
    """Return when something was said, or told, by the clock of Redis, in milliseconds since 1970."""
    return int(fields[b"time"] if b"time" in fields else id_.partition("-")[0])
