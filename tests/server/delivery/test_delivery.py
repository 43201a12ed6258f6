"""The delivery thread: numbers, order, members who fall behind and catch up. Outlets are lists or socket pairs."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from hubbub.protocol import Acted, Entered, Notice, Said
from hubbub.server.delivery import fanout, slow_consumers
from hubbub.server.delivery.actions import (
    RUN_LINES,
    Broadcast,
    CloseSubscriber,
    Finish,
    FlushMarker,
    Post,
    Publish,
    Reply,
    Subscribe,
    Unsubscribe,
)
from hubbub.server.delivery.delivery import Delivery, with_gaps
from hubbub.server.delivery.sequencer import LocalSequencer
from hubbub.server.delivery.slow_consumers import BACKLOG_ROOMS, OUTBOX_BYTES
from hubbub.server.delivery.tail import TAIL_PAGES
from hubbub.server.journal.journal import JournalError, LocalJournal, Page, SessionRow
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.network.transport import SocketTransport
from hubbub.server.rooms.room import Member, Room, SessionState
from testing.waiting import TIMEOUT_SECONDS, eventually


class ListTransport:
    """An transport that takes everything."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.broken = False
        self.ended: list[str] = []

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return len(data)

    def fileno(self) -> int:
        raise AssertionError("nobody waits for one who takes everything")

    def end_reading(self) -> None:
        self.ended.append("reading")

    def end_writing(self) -> None:
        self.ended.append("writing")

    def close(self) -> None:
        self.ended.append("closed")

    @property
    def lines(self) -> list[str]:
        return b"".join(self.sent).decode().splitlines()


def lone_delivery(journal: LocalJournal, **options: Any) -> Delivery:
    """Return the delivery of a server alone."""
    clock = options.pop("clock", time.time)
    return Delivery(journal, LocalSequencer(journal, clock), **options)


@contextmanager
def delivering() -> Iterator[Delivery]:
    """Run a delivery thread whose clock stands at one second; it is gone at the end."""
    delivery = lone_delivery(MemoryJournal(), clock=lambda: 1.0)
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.stop(1.0)


def person() -> tuple[Member, ListTransport]:
    transport = ListTransport()
    return Member(transport), transport


def post(room: Room, text: str) -> Post:
    return Post(room, Said, "bob", "red", [text])


def filler(room: Room, count: int) -> list[Post]:
    return [post(room, f"{number} " + "x" * 900) for number in range(count)]


def covered(lines: list[str]) -> list[int]:
    """Return the SEQs that `lines` hold or name as gone, in the order in which they do."""
    seqs: list[int] = []
    for word, _, first, last, *_ in (line.split() for line in lines):
        seqs += [int(first)] if word == "/say" else range(int(first), int(last) + 1)
    return seqs


class Reader:
    """The far end of a member who reads only when he is told to."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        self.far.settimeout(TIMEOUT_SECONDS)
        self.member = Member(SlowOutlet(self.near))

    def read_until(self, mark: bytes) -> list[str]:
        data = b""
        while mark not in data:
            data += self.far.recv(65_536)
        return data.decode().splitlines()

    def close(self) -> None:
        self.near.close()
        self.far.close()


class SlowOutlet(SocketTransport):
    """A channel over a socket pair, which has no TCP options to set."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.broken = False


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


ROOM = Room("ops", "ops")
LINES = 1_000  # of `filler`: they just fit into a tail


def test_everybody_gets_the_identical_bytes_in_the_identical_order() -> None:
    """Two members see the same lines, numbered 1, 2, 3, the speaker's own among them."""
    with delivering() as delivery:
        (first, seen), (second, also_seen) = person(), person()
        delivery.submit(Subscribe(first, ROOM, 1), Subscribe(second, ROOM, 2))
        delivery.submit_posts([post(ROOM, "a"), Post(ROOM, Acted, "bob", "red", ["b"]), post(ROOM, "c")])
        delivery.flush(first)
        assert seen.lines[1:] == ["/say ops 1 1000 bob red a", "/me ops 2 1000 bob red b", "/say ops 3 1000 bob red c"]
        assert seen.lines[1:] == also_seen.lines[1:]


def test_who_comes_and_goes_splits_nobody_elses_batch() -> None:
    """What is for him alone comes in its place among the lines; all others get them with one send."""
    with delivering() as delivery:
        (stays, seen), (goes, last), (comes, first) = person(), person(), person()
        delivery.submit(Subscribe(stays, ROOM, 1), Subscribe(goes, ROOM, 2))
        delivery.flush(goes)
        before = len(seen.sent)
        delivery.submit(
            Broadcast(ROOM, Notice("1")),
            Reply(goes, b"/pong\n"),
            Broadcast(ROOM, Notice("2")),
            Unsubscribe(goes),
            Subscribe(comes, ROOM, 2),
            Broadcast(ROOM, Notice("3")),
            Reply(comes, b"/pong\n"),
            Broadcast(ROOM, Notice("4")),
        )
        delivery.flush(comes)
        delivery.flush(stays)
        assert [line for sent in seen.sent[before:] for line in sent.split(b"\n")[:-1]] == [
            b"/notice 1",
            b"/notice 2",
            b"/notice 3",
            b"/notice 4",
        ]
        assert len(seen.sent) == before + 1
        assert last.lines[-3:] == ["/notice 1", "/pong", "/notice 2"]
        assert first.lines[-3:] == ["/notice 3", "/pong", "/notice 4"]
        delivery.submit(Broadcast(ROOM, Notice("5")))
        for member in (stays, comes):
            delivery.flush(member)
        assert [seen.lines[-1], first.lines[-1], last.lines[-1]] == ["/notice 5", "/notice 5", "/notice 2"]


def test_what_follows_at_once_gathers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line goes out at once; those that follow soon go together, a little later."""
    monkeypatch.setattr(fanout, "GATHER_SECONDS", 0.2)
    with delivering() as delivery:
        member, transport = person()
        delivery.submit(Subscribe(member, ROOM, 1))
        delivery.flush(member)
        for text in "abcd":
            delivery.submit_posts([post(ROOM, text)])
            assert eventually(lambda: len(transport.sent) > 1)
        assert eventually(lambda: len(transport.lines) == 5)
        assert [line.split()[-1] for line in transport.lines[1:]] == ["a", "b", "c", "d"]
        assert len(transport.sent) == 3


def test_what_gathers_waits_no_longer_than_it_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of it goes at once, and a stop sends what there is."""
    monkeypatch.setattr(fanout, "GATHER_SECONDS", 0.5)
    with delivering() as delivery:
        member, transport = person()
        delivery.submit(Subscribe(member, ROOM, 1), post(ROOM, "first"))
        assert eventually(lambda: len(transport.lines) == 2)
        start = time.monotonic()
        delivery.submit_posts([Post(ROOM, Said, "bob", "red", ["x" * 1_000] * 70)])
        assert eventually(lambda: len(transport.lines) == 72)
        assert time.monotonic() - start < 0.4
        delivery.submit_posts([post(ROOM, "last")])
        delivery.stop(5.0)
        assert transport.lines[-1].endswith("last")


def test_lines_that_gather_go_with_one_send() -> None:
    """A batch costs each member one send."""
    with delivering() as delivery:
        member, transport = person()
        delivery.submit(Subscribe(member, ROOM, 1))
        delivery.flush(member)
        transport.sent.clear()
        delivery.submit_posts([post(ROOM, str(number)) for number in range(100)])
        delivery.flush(member)
        assert (len(transport.sent), len(transport.lines)) == (1, 100)


def test_who_enters_gets_the_past_once_and_then_what_follows() -> None:
    """Nothing is missing and nothing is doubled between the past and the present."""
    with delivering() as delivery:
        first, _ = person()
        member, transport = person()
        delivery.submit(Subscribe(first, ROOM, 1))
        delivery.submit_posts([post(ROOM, str(number)) for number in range(60)])
        delivery.enqueue(post(ROOM, "60"), Subscribe(member, ROOM, 2), post(ROOM, "61"))
        delivery.wake()
        delivery.flush(member)
        assert transport.lines[0] == "/entered ops 61 2 -"
        assert [line.split()[-1] for line in transport.lines[1:]] == [str(number) for number in range(11, 62)]


def test_who_departs_gets_nothing_more() -> None:
    """What is said before one departs reaches him, what is said after does not."""
    with delivering() as delivery:
        member, transport = person()
        delivery.submit(Subscribe(member, ROOM, 1), post(ROOM, "before"), Unsubscribe(member), post(ROOM, "after"))
        delivery.flush(member)
        assert [line.split()[-1] for line in transport.lines[1:]] == ["before"]


def test_an_answer_comes_after_what_was_seen_before_it() -> None:
    """One's own line, said before a question, comes before the answer."""
    with delivering() as delivery:
        member, transport = person()
        delivery.submit(
            Subscribe(member, ROOM, 1), post(ROOM, "said"), Reply(member, b"/pong x\n"), post(ROOM, "later")
        )
        delivery.flush(member)
        assert [line.split()[-1] for line in transport.lines[1:]] == ["said", "x", "later"]


def test_a_reader_who_stalls_gets_every_line_in_the_tail(reader: Reader) -> None:
    """He falls behind, delays nobody, and gets all that followed, each line whole, when he reads."""
    with delivering() as delivery:
        other, seen = person()
        delivery.submit(Subscribe(reader.member, ROOM, 1), Subscribe(other, ROOM, 2))
        delivery.submit_posts(filler(ROOM, LINES - 1))
        delivery.submit_posts([post(ROOM, "end")])
        delivery.flush(other)
        assert len(seen.lines) == 1 + LINES
        assert reader.read_until(b"red end\n")[1:] == seen.lines[1:]


def test_a_reader_who_fell_out_of_the_tail_is_told_of_the_gap(reader: Reader) -> None:
    """What is no longer kept is named exactly; all else arrives in order."""
    with delivering() as delivery:
        other, _ = person()
        delivery.submit(Subscribe(reader.member, ROOM, 1), Subscribe(other, ROOM, 2))
        for _ in range(4):
            delivery.submit_posts(filler(ROOM, LINES))
            delivery.flush(other)
        delivery.submit_posts([post(ROOM, "end")])
        delivery.flush(other)
        lines = reader.read_until(b"red end\n")[1:]
        assert any(line.startswith("/gap") for line in lines)
        assert covered(lines) == list(range(1, 4 * LINES + 2))


def test_a_batch_longer_than_the_tail_has_its_gap_named(reader: Reader) -> None:
    """A member cut off at the start of a batch that drops its own first lines from the tail is told of those too."""
    with delivering() as delivery:
        other, _ = person()
        delivery.submit(Subscribe(reader.member, ROOM, 1), Subscribe(other, ROOM, 2))
        delivery.enqueue(*filler(ROOM, 3 * LINES), post(ROOM, "end"))
        delivery.flush(other)
        lines = reader.read_until(b"red end\n")[1:]
        assert covered(lines) == list(range(1, 3 * LINES + 2))


def test_a_reader_who_catches_up_is_in_step_again(reader: Reader) -> None:
    """After catching up he receives with everybody, presence lines too."""
    with delivering() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts([*filler(ROOM, 500), post(ROOM, "end")])
        reader.read_until(b"red end\n")
        delivery.submit(Broadcast(ROOM, Notice("here")))
        assert reader.read_until(b"here\n") == ["/notice here"]


def test_who_changes_room_while_behind_gets_the_end_of_the_old_one_first(reader: Reader) -> None:
    """What was said before he went comes before `/entered` of the room that he went to."""
    with delivering() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts(filler(ROOM, 200))
        delivery.submit(Unsubscribe(reader.member), Subscribe(reader.member, Room("new", "new"), 1))
        lines = reader.read_until(b"/entered new 0 1 -\n")
        assert [int(line.split()[2]) for line in lines[1:-1]] == list(range(1, 201))


def test_answers_go_between_whole_lines(reader: Reader) -> None:
    """An answer to one who is behind never stands inside a line."""
    with delivering() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts(filler(ROOM, 100))
        delivery.submit(Reply(reader.member, b"/pong x\n"))
        delivery.submit_posts([post(ROOM, "end")])
        lines = reader.read_until(b"red end\n")
        assert "/pong x" in lines
        assert len(lines) == 1 + 100 + 1 + 1


def test_room_lines_go_between_whole_answers(reader: Reader) -> None:
    """While an answer to one who was in step is cut, what is said waits behind it."""
    with delivering() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.flush(reader.member)
        delivery.submit(Reply(reader.member, b"y" * 300_000 + b"\n"))
        delivery.submit_posts([post(ROOM, "said")])
        delivery.submit(Reply(reader.member, b"/pong x\n"))
        delivery.submit_posts([post(ROOM, "end")])
        lines = reader.read_until(b"red end\n")
        assert lines[1] == "y" * 300_000
        assert sorted(line.split()[-1] for line in lines[2:]) == ["end", "said", "x"]


def test_a_slow_reader_of_the_past_is_not_ended_by_an_answer(reader: Reader) -> None:
    """However much of a room's past waits for him, an answer does not end him."""
    with delivering() as delivery:
        delivery.submit_posts([post(ROOM, "€" * 300) for _ in range(LINES)])
        delivery.submit(Subscribe(reader.member, ROOM, 1, after=0))
        for number in range(3):
            delivery.submit(Reply(reader.member, b"/pong %d\n" % number))
        delivery.submit_posts([post(ROOM, "end")])
        lines = reader.read_until(b"red end\n")
        assert len(lines) == 1 + LINES + 3 + 1


def test_a_question_overtakes_a_long_past(reader: Reader) -> None:
    """What is sent at once comes between two chunks of the past, and not at its end."""
    with delivering() as delivery:
        delivery.submit_posts(filler(ROOM, LINES))
        delivery.submit(*[Broadcast(ROOM, Notice("here"))] * (TAIL_PAGES - 100))  # they push most of it out of the tail
        delivery.flush(reader.member)
        delivery.submit(Subscribe(reader.member, ROOM, 1, after=0))
        delivery.submit(Reply(reader.member, b"/ping x\n", at_once=True))
        delivery.submit_posts([post(ROOM, "end")])
        lines = reader.read_until(b"red end\n")
        assert lines.index("/ping x") < 500
        assert covered([line for line in lines[1:] if line != "/ping x"]) == list(range(1, LINES + 2))


def test_who_goes_to_and_fro_without_reading_goes(reader: Reader) -> None:
    """What waits for one member holds the tails of a few rooms at the most."""
    with delivering() as delivery:
        for number in range(BACKLOG_ROOMS + 3):
            room = Room(f"r{number}", f"r{number}")
            delivery.submit(Subscribe(reader.member, room, 1))
            delivery.submit_posts(filler(room, 100))
            delivery.submit(Unsubscribe(reader.member))
        assert eventually(lambda: reader.member.transport.broken)


def test_a_closing_member_has_no_more_time_for_each_byte(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads a little now and then is closed when the time for closing is over."""
    monkeypatch.setattr(slow_consumers, "CLOSING_SECONDS", 0.3)
    monkeypatch.setattr(slow_consumers, "CHECK_SECONDS", 0.05)
    with delivering() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts(filler(ROOM, LINES))
        delivery.submit(Unsubscribe(reader.member), CloseSubscriber(reader.member))

        def closed_while_reading() -> bool:
            reader.far.recv(300)
            return reader.member.subscriber.closed

        assert eventually(closed_while_reading)


def test_who_leaves_his_answers_unread_goes(reader: Reader) -> None:
    """Answers that nobody reads are bounded: past OUTBOX_BYTES the member is given up and his thread is woken."""
    with delivering() as delivery:
        for _ in range(OUTBOX_BYTES // 65_536 + 10):
            delivery.submit(Reply(reader.member, b"x" * 65_535 + b"\n"))
        assert eventually(lambda: reader.member.transport.broken)
        assert reader.near.recv(1) == b""


def test_finish_sends_what_is_left_and_ends_the_stream(reader: Reader) -> None:
    """The last words come last, after all that was said before, and then the end."""
    with delivering() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts(filler(ROOM, 100))
        delivery.submit(Unsubscribe(reader.member), Finish(reader.member, b"/bye see you\n"))
        lines = reader.read_until(b"/bye see you\n")
        assert (len(lines), reader.far.recv(1)) == (1 + 100 + 1, b"")


def test_close_waits_for_what_is_left(reader: Reader) -> None:
    """A client who has ended his side still gets what he is owed before the descriptor goes."""
    with delivering() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts([*filler(ROOM, 100), post(ROOM, "end")])
        delivery.submit(Unsubscribe(reader.member), CloseSubscriber(reader.member))
        assert len(reader.read_until(b"red end\n")) == 1 + 101
        assert reader.far.recv(1) == b""


def test_stop_gives_up_on_those_who_do_not_read(reader: Reader) -> None:
    """A stop has an end, and says so to whoever waits for an answer to be taken."""
    delivery = lone_delivery(MemoryJournal())
    delivery.start()
    delivery.submit(Subscribe(reader.member, ROOM, 1))
    delivery.submit_posts(filler(ROOM, 900))
    waiting = threading.Thread(target=delivery.flush, args=(reader.member,))
    delivery.submit(Reply(reader.member, b"/pong x\n"))
    waiting.start()
    delivery.stop(0.1)
    waiting.join(TIMEOUT_SECONDS)
    assert not waiting.is_alive()


def test_a_room_goes_on_counting_when_people_come_back() -> None:
    """SEQ has no hole after the last member went and somebody came."""
    with delivering() as delivery:
        (first, _), (second, seen) = person(), person()
        delivery.submit(Subscribe(first, ROOM, 1), post(ROOM, "a"), Unsubscribe(first))
        for number in range(300):  # enough other rooms for this one to be forgotten
            delivery.submit(post(Room(f"r{number}", f"r{number}"), "x"))
            delivery.flush(first)
        delivery.submit(Subscribe(second, Room("ops", "ops"), 1), post(ROOM, "b"))
        delivery.flush(second)
        assert [line.split()[2] for line in seen.lines] == ["1", "1", "2"]


class Shared(LocalSequencer):
    """A sequencer of one server of many: what is said comes back by `Arrived`. It cannot keep anything while `away`."""

    def __init__(self) -> None:
        super().__init__(MemoryJournal())
        self.away = False
        self.refused = threading.Event()

    def store(self, posts: Sequence[Post], sessions: Sequence[SessionState], ended: Sequence[SessionState]) -> None:
        if self.away:
            self.refused.set()
            raise JournalError("away")


def arrived(first: int, last: int) -> Publish:
    """Return lines of ROOM that a server of the chat has kept."""
    data = b"".join(b"/say ops %d 1000 bob red %d\n" % (seq, seq) for seq in range(first, last + 1))
    return Publish(Page(ROOM.key, ROOM.name, first, last, 1_000, data))


def test_what_arrives_keeps_its_order_while_nothing_can_be_kept() -> None:
    """Also what was taken from the queue together with a post that could not be kept just then."""
    sequencer = Shared()
    delivery = Delivery(MemoryJournal(), sequencer)
    member, transport = person()
    delivery.start()
    delivery.submit(Subscribe(member, ROOM, 1))
    delivery.flush(member)
    sequencer.away = True
    delivery.submit(post(ROOM, "x"), arrived(1, 2))
    assert sequencer.refused.wait(TIMEOUT_SECONDS)
    delivery.submit(arrived(3, 4))
    sequencer.away = False
    assert eventually(lambda: any(line.startswith("/say ops 4 ") for line in transport.lines))
    delivery.stop(1.0)
    assert covered([line for line in transport.lines if line.startswith("/say")]) == [1, 2, 3, 4]
    assert [line for line in transport.lines if line.startswith("/gap")] == []


def test_a_hole_in_what_arrives_is_a_gap_for_everybody() -> None:
    """For those who are there, and for who comes back from before it: the journal may have what is missing here."""
    journal = MemoryJournal()
    journal.append([arrived(first, first).page for first in range(1, 6)], [], [])
    delivery = Delivery(journal, Shared())
    (member, transport), (late, seen) = person(), person()
    delivery.start()
    delivery.submit(Subscribe(member, ROOM, 1))
    delivery.flush(member)
    delivery.submit(arrived(6, 6), arrived(9, 9), Subscribe(late, ROOM, 2, after=4))
    delivery.flush(late)
    delivery.flush(member)
    assert covered([line for line in transport.lines if line.startswith(("/say", "/gap"))][-3:]) == [6, 7, 8, 9]
    assert covered([line for line in seen.lines if line.startswith(("/say", "/gap"))]) == [5, 6, 7, 8, 9]
    delivery.stop(1.0)


def test_a_broken_journal_ends_the_server_loudly() -> None:
    """If the thread dies of a bug, the server is told and nobody waits for ever."""

    class Broken(MemoryJournal):
        def append(self, lines: object, sessions: object, ended: object) -> None:
            raise ZeroDivisionError

    failed = threading.Event()
    delivery = lone_delivery(Broken(), on_failure=failed.set)
    (member, transport), waiting = person(), threading.Event()
    delivery.enqueue(post(ROOM, "a"), FlushMarker(member, waiting), CloseSubscriber(member))
    delivery.start()
    assert failed.wait(TIMEOUT_SECONDS)
    assert waiting.wait(TIMEOUT_SECONDS)
    delivery.flush(member)
    delivery.stop(0.1)
    assert transport.ended == ["closed"]


def test_all_rooms_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who speaks in another room waits as well, until what is pending is taken."""
    monkeypatch.setattr("hubbub.server.delivery.action_queue.PENDING_LINES_OF_ALL", 10)
    delivery = lone_delivery(MemoryJournal())
    delivery.submit_posts([post(ROOM, str(number)) for number in range(10)])
    waiting = threading.Thread(target=delivery.submit_posts, args=([post(Room("new", "new"), "late")],))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    delivery.start()
    waiting.join(TIMEOUT_SECONDS)
    assert not waiting.is_alive()
    delivery.stop(1.0)


def test_what_waits_is_kept_in_parts() -> None:
    """However much has gathered, the first of it need not wait until the last is kept."""
    kept: list[int] = []

    class CountingJournal(MemoryJournal):
        def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
            kept.append(sum(page.last - page.first + 1 for page in pages))
            super().append(pages, sessions, ended)

    delivery = lone_delivery(CountingJournal(), clock=lambda: 1.0)
    member, transport = person()
    run = ["x"] * RUN_LINES
    delivery.enqueue(Subscribe(member, ROOM, 1), *(Post(ROOM, Said, "bob", "red", run.copy()) for _ in range(25)))
    delivery.start()
    delivery.flush(member)
    delivery.stop(1.0)
    assert kept == [10_000, 10_000, 5_000]
    assert covered(transport.lines[1:]) == list(range(1, 25_001))


def test_gaps_stand_wherever_a_number_is_missing() -> None:
    """Before the first, between two, and after the last."""
    first, second = Page("ops", "ops", 3, 4, 0, b"x\ny\n"), Page("ops", "ops", 6, 6, 0, b"z\n")
    shown = with_gaps("ops", [first, second], 1, 8)
    assert shown == [b"/gap ops 2 2\n", b"x\ny\n", b"/gap ops 5 5\n", b"z\n", b"/gap ops 7 8\n"]


def test_entered_counts_what_is_numbered_before_it() -> None:
    """SEQ in `/entered` is the line before which one comes in."""
    with delivering() as delivery:
        member, transport = person()
        delivery.submit(post(ROOM, "a"), Subscribe(member, ROOM, 1), post(ROOM, "b"))
        delivery.flush(member)
        assert transport.lines[0] == Entered("ops", 1, 1, "-").encode().decode().strip()
