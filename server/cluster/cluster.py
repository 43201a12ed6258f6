"""The part of a server in a chat of many: what it tells the others, what it hears of them, and its lease.

Three threads of its own:

    follower    waits for what comes into the rooms that somebody here is in, for news of all and orders for this
                server; after a cut, it takes back what is ours
    messenger   carries what must not make anybody wait: private messages, orders for other servers, notices
    lease       renews the lease of this server, and has it adopt the people of those that have none any more
"""

import itertools
import secrets
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from loguru import logger

from protocol import Error
from server.cluster import scripts
from server.cluster.journal import KEEP_DAYS, KEEP_LINES, ClusterJournal, page_of, row_of, seq_of
from server.cluster.link import Argument, Link, Reader
from server.cluster.registry import ClusterRegistry
from server.cluster.rooms import Rooms
from server.company import Parts
from server.entries import Answer, Arrived, Tell
from server.journal import JournalError
from server.locks import FACTS as LOCK
from server.looks import looks_of
from server.names import FACTS as NAME
from server.room import Member

LEASE_SECONDS = 15.0  # that the others wait for a server of which nothing is heard
RENEWALS = 5  # of a lease while it lasts
RETRY_SECONDS = 0.5  # between two tries to reach a Redis that is away
READ_SECONDS = 10.0  # of waiting for what comes; then the same again
GATHER_SECONDS = 0.002  # between two reads: each names every room that is followed, and what comes meanwhile gathers
READ_ENTRIES = 100  # at once of a stream
GONE = Error("no-such-person", "the server that this person was on is gone; try again in a minute").encode()
UNANSWERED = Error(
    "no-such-person", "the server that this person is on does not answer, so your message may not have arrived"
).encode()


class Cluster:
    """The `server.company.Company` of a server among others. Made, started and stopped by one thread."""

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
        self._link = Link(url, chat, self.id)
        self._link.begin(secrets.token_hex(16))
        keeping, self._lease = (Link(url, chat, self.id, beside=self._link) for _ in range(2))
        self._links = (self._link, keeping, self._lease)
        self.warning = self._link.forgetful
        self._rooms = Rooms(self._link, lambda: self._messages.put(self._poke))
        self.journal = ClusterJournal(self._link, keeping, self._rooms, keep_days=keep_days, keep_lines=keep_lines)
        self._reader = Reader(url, READ_SECONDS)
        self._news = self._link.key("news")
        self._inbox = self._link.key(f"inbox:{self.id}")
        self._room_prefix = self._link.key("room:")
        # What the follower has read; before anything is known of the chat, so that nothing falls between.
        self._places = {self._news: self._last_news(), self._inbox: "0-0"}
        self._messages: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._numbers = itertools.count(1)
        # The private messages of which nothing is heard yet, by number: whose each is, and since when. Any thread takes
        # one out with `pop`, which is one step, and answers it then.
        self._unanswered: dict[int, tuple[str, float]] = {}
        self._stopping = threading.Event()
        self._steady_since = 0.0  # seconds of the monotonic clock: since when the lease holds without a break
        self._lapses = 0  # how often the lease has run out; the thread of the lease counts
        self._lapses_mended = 0  # after how many of them the follower has taken back what is ours
        self._threads = [
            threading.Thread(target=work, name=name)  # joined by stop
            for work, name in ((self._follow, "follower"), (self._carry, "messenger"), (self._keep_lease, "lease"))
        ]
        self._parts: Parts
        self._registry: ClusterRegistry

    def _last_news(self) -> str:
        entries = self._link.ask("XREVRANGE", self._news, "+", "-", "COUNT", 1)
        return str(entries[0][0].decode()) if entries else "0-0"

    @property
    def keeper(self) -> ClusterJournal:
        """Who keeps what is said: for that is what all share."""
        return self.journal

    def registry(self, parts: Parts) -> ClusterRegistry:
        """Return the registry of a server that consists of `parts`. To be called once."""
        self._parts = parts
        self._registry = ClusterRegistry(
            parts.delivery, self.journal, parts.limits, parts.names, parts.order, parts.locks, self
        )
        return self._registry

    def start(self) -> None:
        """Have the others know of this server, know of their people, and start the threads. Raises JournalError."""
        self._lease.renew(self._lease_seconds)
        self._steady_since = time.monotonic()
        self._look_around()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Leave the people of this server to the others, and join every thread. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        try:
            self._poke()
        except JournalError:
            self._reader.interrupt()
        self._messages.put(None)
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
        return bool(self._link.run(scripts.CLAIM, token_hash.hex(), rival.hex(), *looks_of(name)))

    def disclaim(self, token_hash: bytes, name: str) -> None:
        """Give up what was claimed but `name`; without one, give up the session as well."""
        self._link.run(scripts.DISCLAIM, token_hash.hex(), *(looks_of(name) if name else ()))

    def watch(self, key: str, seq: int = 0) -> None:
        """See to it that what is said in a room comes from when somebody enters it, who has it up to `seq`."""
        self._rooms.watch(key, seq)

    def tell(self, told: Tell) -> None:
        """Have the server that serves `told.to` bring it to him, or back what he could not be told."""
        self._messages.put(lambda: self._send_told(told))

    def expel(self, member: Member, deed: str) -> None:
        """Have the server that serves a member make him leave."""
        home, token = member.elsewhere, _token(member)
        self._messages.put(lambda: self._send(home, "do", "expel", "token", token, "deed", deed))

    def show_notice(self, key: str, text: str) -> None:
        """Have the others show a notice to all in a room."""
        self._messages.put(lambda: self._link.run(scripts.NOTE, key, text))

    # ------------------------------------------------------------------------------------------------ the messenger

    def _carry(self) -> None:
        while (message := self._messages.get()) is not None:
            try:
                message()
            except JournalError as error:
                logger.error("{}; a message to another server is lost", error)
            except Exception:  # noqa: BLE001  # a bug must not end the thread that all others need
                logger.exception("a message to another server is lost")

    def _send(self, server: str, *fields: Argument) -> bool:
        return bool(self._link.run(scripts.SEND, server, *fields))

    def _send_told(self, told: Tell) -> None:
        number, author = next(self._numbers), _token(told.sender)
        fields = ("number", number, "to", _token(told.to), "data", told.data, "refusal", told.refusal)
        self._unanswered[number] = (author, time.monotonic())
        try:
            arrived = self._send(told.to.elsewhere, "do", "tell", "back", self.id, *fields)
        except JournalError:
            arrived = False
        if not arrived:
            self._answer(number, GONE)

    def _answer(self, number: int, data: bytes) -> None:
        """Tell the author of a private message what came of it, once."""
        author, _ = self._unanswered.pop(number, ("", 0.0))
        if author and (member := self._registry.find_session(bytes.fromhex(author))) is not None:
            self._parts.delivery.post(Answer(member, data))

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
                found = self._reader.read(self._places | places, READ_ENTRIES)
                away, read_at = False, time.monotonic()
            except Exception as error:  # noqa: BLE001  # whatever it is: the thread must go on, and so must its log
                if not away and not self._stopping.is_set():
                    logger.error("cannot read what the other servers say: {}; trying again", error)
                away = True
                self._stopping.wait(RETRY_SECONDS)
                continue
            for stream, entries in found.items():
                self._take(stream, entries)
            self._parts.delivery.wait_for_space()

    def _take(self, stream: str, entries: list[tuple[str, dict[bytes, bytes]]]) -> None:
        try:
            if stream.startswith(self._room_prefix):
                self._take_lines(stream.removeprefix(self._room_prefix), entries)
                return
            for id_, fields in entries:
                self._places[stream] = id_
                take = self._take_order if stream == self._inbox else self._take_news
                take({field.decode(): value for field, value in fields.items()})
        except Exception:  # noqa: BLE001  # a bug, or data of another version: the rest must go on
            logger.exception("something that came from the other servers is left out")

    def _take_lines(self, key: str, entries: list[tuple[str, dict[bytes, bytes]]]) -> None:
        try:
            self._parts.delivery.post(*(Arrived(page_of(key, id_, fields)) for id_, fields in entries))
        finally:
            self._rooms.read(key, seq_of(entries[-1][0]))  # after it: who waits for that comes after these lines
        self._registry.note_speakers({fields[b"name"].decode() for _, fields in entries})

    def _take_news(self, news: dict[str, bytes]) -> None:
        if news["by"].decode() == self.id and "held" not in news:
            return
        if "token" in news:
            self._take_person(news["token"].decode(), news["home"].decode(), news["who"], held="held" in news)
        elif "kind" in news:
            fact = news.get("fact")
            self._take_fact(news["kind"].decode(), news["key"].decode(), fact.decode() if fact else None)
        else:
            self._registry.show_notice(news["room"].decode(), news["text"].decode())

    def _take_person(self, token: str, home: str, who: bytes, *, held: bool) -> None:
        if held and home == self.id:
            self._registry.adopt(row_of(token, who, None))  # here, in the order in which all see it
        elif held and self._registry.serves(bytes.fromhex(token)):
            return  # we were taken for dead, and the thread of the lease takes back what is ours
        elif home and home != self.id:
            self._registry.mirror(row_of(token, who, None), home)
        elif not home:
            self._registry.unmirror(bytes.fromhex(token), row_of(token, who, None).why if who else "lost")

    def _take_fact(self, kind: str, key: str, fact: str | None) -> None:
        if kind == LOCK:
            self._parts.locks.take_over(key, fact)
        elif kind == NAME:
            self._parts.names.take_over(key, fact)
        elif (sentence := self._parts.order.take_over(kind, key, fact)) is not None and kind == "ban":
            for guest in self._parts.guests():
                if guest.address_key == sentence.whom:
                    guest.expel(f"banned {sentence}")

    def _take_order(self, order: dict[str, bytes]) -> None:
        do = order["do"].decode()
        if do == "tell":
            self._bring(order)
        elif do == "answer":
            self._answer(int(order["number"]), order["data"])
        elif do == "expel" and (member := self._member(order["token"])) is not None and not member.elsewhere:
            self._registry.expel(member, order["deed"].decode())

    def _bring(self, order: dict[str, bytes]) -> None:
        """Bring somebody here a private message, and its author a copy, or why it did not arrive."""
        member = self._member(order["to"])
        arrived = member is not None and not member.elsewhere and not member.away
        if member is not None and arrived:
            self._parts.delivery.post(Tell(member, member, order["data"], b""))
        data = order["data"] if arrived else order["refusal"]
        back, number = order["back"].decode(), order["number"]
        self._messages.put(lambda: self._send(back, "do", "answer", "number", number, "data", data))

    def _member(self, token: bytes) -> Member | None:
        return self._registry.find_session(bytes.fromhex(token.decode()))

    # ------------------------------------------------------------------ the follower, after a cut and at the start

    def _mend(self) -> None:
        """Have the others know again who is here, and know again who is there, if the lease has run out."""
        if (lapses := self._lapses) == self._lapses_mended:
            return
        lost = [member for member in self._registry.own() if not self._take_back(member)]
        self._look_around()  # by which those are let go who are at another server now
        for member in lost:
            self._registry.drop(member)
        self._lapses_mended = lapses

    def _take_back(self, member: Member) -> bool:
        ours = bool(self._link.run(scripts.TAKE_BACK, _token(member), *looks_of(member.name)))
        if ours:
            self._registry.keep_again(member)
        return ours

    def _look_around(self) -> None:
        """Know of everybody who is at another server, and of nobody else.

        Who is where is true at a place in the news, so these are read up to there first, and on from there afterwards.
        """
        missed = self._has_missed_news()
        last, *found = self._link.run(scripts.SNAPSHOT)
        news = self._link.ask("XRANGE", self._news, f"({self._places[self._news]}", last)
        self._take(self._news, [(id_.decode(), fields) for id_, fields in news])
        if missed:
            self._learn_facts()
        there = [found[at : at + 4] for at in range(0, len(found), 4)]
        elsewhere = [(row_of(token.decode(), who, accepted), home.decode()) for token, home, who, accepted in there]
        elsewhere = [(row, home) for row, home in elsewhere if home != self.id]
        for row, home in elsewhere:
            self._registry.mirror(row, home)
        self._registry.forget_others({row.token_hash for row, _ in elsewhere})

    def _has_missed_news(self) -> bool:
        """Return whether news may have been dropped before they were read: then the last one that was is gone, too."""
        place = self._places[self._news]
        return not self._link.ask("XRANGE", self._news, place, place)

    def _learn_facts(self) -> None:
        """Know all that is kept, for some of the news that told it are gone."""
        known = {LOCK: self._parts.locks.rooms(), NAME: self._parts.names.kept(), **self._parts.order.kept()}
        for kind, keys in known.items():
            facts = self.journal.facts(kind)
            for key in {*keys, *facts}:
                self._take_fact(kind, key, facts.get(key))

    # --------------------------------------------------------------------------------------------------- the lease

    def _keep_lease(self) -> None:
        usual = self._lease_seconds / RENEWALS
        seconds = usual
        while not self._stopping.wait(seconds):
            self._end_waiting(time.monotonic() - self._lease_seconds)
            try:
                self._renew()
                seconds = usual
            except JournalError as error:
                if seconds != RETRY_SECONDS:
                    logger.error("{}; trying again", error)
                self._steady_since = 0.0
                seconds = RETRY_SECONDS
            except Exception:  # noqa: BLE001  # a bug must not end the thread that all others need
                logger.exception("the lease could not be seen to")

    def _end_waiting(self, since: float) -> None:
        """Have nobody wait any longer for an answer who has since then: that server is dead, or we are cut off."""
        for number, (_, sent_at) in list(self._unanswered.items()):
            if sent_at <= since:
                self._answer(number, UNANSWERED)

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
        if (
            now - self._steady_since >= self._lease_seconds
        ):  # whoever was cut off with us has had time to come back, too
            for server in dead:
                self._adopt(server)
        self.journal.purge()

    def _adopt(self, server: str) -> None:
        people = self._link.run(scripts.ADOPT, server)  # who they are, the follower hears
        logger.info("server {} is gone; holding the places of {} people", server, people)


def _token(member: Member) -> str:
    assert member.state is not None  # whoever has a name has one
    return member.state.token_hash.hex()
