"""The delivery thread: one order for lines, replies and subscriptions, and an orderly end."""

import threading
from collections.abc import Sequence

from hubbub.protocol import Entered
from hubbub.server.delivery.actions import (
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
from hubbub.server.journal.journal import JournalError, Page, SessionRow
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.rooms.room import Room, SessionState
from testing.delivery import ROOM, SlowReader, covered, local_delivery, long_posts, new_member, post, running_delivery
from testing.server import captured_log
from testing.waiting import TIMEOUT_SECONDS, eventually


def test_a_new_subscriber_gets_history_and_then_new_lines() -> None:
    """Nothing is missing and nothing comes twice between history and new lines."""
    with running_delivery() as delivery:
        first, _ = new_member()
        member, transport = new_member()
        delivery.submit(Subscribe(first, ROOM, 1))
        delivery.submit_posts([post(ROOM, str(number)) for number in range(60)])
        delivery.enqueue(post(ROOM, "60"), Subscribe(member, ROOM, 2), post(ROOM, "61"))
        delivery.wake()
        delivery.flush(member)
        assert transport.lines[0] == "/entered ops 61 2 -"
        assert [line.split()[-1] for line in transport.lines[1:]] == [str(number) for number in range(11, 62)]


def test_entered_has_the_seq_of_the_line_before_it() -> None:
    """SEQ in `/entered` is that of the last line before it."""
    with running_delivery() as delivery:
        member, transport = new_member()
        delivery.submit(post(ROOM, "a"), Subscribe(member, ROOM, 1), post(ROOM, "b"))
        delivery.flush(member)
        assert transport.lines[0] == Entered("ops", 1, 1, "-").encode().decode().strip()


def test_no_lines_after_unsubscribing() -> None:
    """Lines before the unsubscription arrive, lines after it do not."""
    with running_delivery() as delivery:
        member, transport = new_member()
        delivery.submit(Subscribe(member, ROOM, 1), post(ROOM, "before"), Unsubscribe(member), post(ROOM, "after"))
        delivery.flush(member)
        assert [line.split()[-1] for line in transport.lines[1:]] == ["before"]


def test_a_reply_comes_after_the_lines_before_it() -> None:
    """A member's own line comes before the reply to their next command."""
    with running_delivery() as delivery:
        member, transport = new_member()
        delivery.submit(
            Subscribe(member, ROOM, 1), post(ROOM, "said"), Reply(member, b"/pong x\n"), post(ROOM, "later")
        )
        delivery.flush(member)
        assert [line.split()[-1] for line in transport.lines[1:]] == ["said", "x", "later"]


def test_seq_continues_after_a_room_was_empty() -> None:
    """SEQ has no gap after the last member left, the log was closed, and a member joined."""
    with running_delivery() as delivery:
        (first, _), (second, seen) = new_member(), new_member()
        delivery.submit(Subscribe(first, ROOM, 1), post(ROOM, "a"), Unsubscribe(first))
        for number in range(300):  # enough other rooms for this one to be forgotten
            delivery.submit(post(Room(f"r{number}", f"r{number}"), "x"))
            delivery.flush(first)
        delivery.submit(Subscribe(second, Room("ops", "ops"), 1), post(ROOM, "b"))
        delivery.flush(second)
        assert [line.split()[2] for line in seen.lines] == ["1", "1", "2"]


def test_finish_sends_what_is_left_and_ends_the_stream(reader: SlowReader) -> None:
    """The last lines come after all lines before them, and then the end of the stream."""
    with running_delivery() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts(long_posts(ROOM, 100))
        delivery.submit(Unsubscribe(reader.member), Finish(reader.member, b"/bye see you\n"))
        lines = reader.read_until(b"/bye see you\n")
        assert (len(lines), reader.far.recv(1)) == (1 + 100 + 1, b"")


def test_close_waits_for_what_is_left(reader: SlowReader) -> None:
    """A client that has ended its side still gets all its lines before the socket is closed."""
    with running_delivery() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts([*long_posts(ROOM, 100), post(ROOM, "end")])
        delivery.submit(Unsubscribe(reader.member), CloseSubscriber(reader.member))
        assert len(reader.read_until(b"red end\n")) == 1 + 101
        assert reader.far.recv(1) == b""


def test_stop_drops_clients_that_do_not_read(reader: SlowReader) -> None:
    """A stop ends, and releases a thread that waits in `flush`."""
    delivery = local_delivery(MemoryJournal())
    delivery.start()
    delivery.submit(Subscribe(reader.member, ROOM, 1))
    delivery.submit_posts(long_posts(ROOM, 900))
    waiting = threading.Thread(target=delivery.flush, args=(reader.member,))
    delivery.submit(Reply(reader.member, b"/pong x\n"))
    waiting.start()
    delivery.stop(0.1)
    waiting.join(TIMEOUT_SECONDS)
    assert not waiting.is_alive()


def test_stop_waits_for_a_stalled_journal() -> None:
    """A line that the journal could not store is stored if it can be written again before the stop ends."""

    class StalledJournal(MemoryJournal):
        def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
            if delivery._queue.deadline is None:
                raise JournalError("stalled")
            super().append(pages, sessions, ended)

    journal = StalledJournal()
    delivery = local_delivery(journal)
    delivery.start()
    delivery.submit(post(ROOM, "held"))
    assert eventually(lambda: delivery.is_stalled)
    delivery.stop(TIMEOUT_SECONDS)
    assert journal.last_seq(ROOM.key) == 1


def test_stop_gives_up_a_stalled_journal() -> None:
    """After the given time."""

    class StalledJournal(MemoryJournal):
        def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
            raise JournalError("stalled")

    delivery = local_delivery(StalledJournal())
    delivery.start()
    delivery.submit(post(ROOM, "lost"))
    assert eventually(lambda: delivery.is_stalled)
    with captured_log() as log:
        delivery.stop(0.1)
    assert any("1 lines could not be stored" in entry for entry in log)


def test_a_bug_in_the_journal_ends_the_server() -> None:
    """If a bug ends the thread, `on_failure` is called, and nobody waits for ever."""

    class Broken(MemoryJournal):
        def append(self, lines: object, sessions: object, ended: object) -> None:
            raise ZeroDivisionError

    failed = threading.Event()
    delivery = local_delivery(Broken(), on_failure=failed.set)
    (member, transport), waiting = new_member(), threading.Event()
    delivery.enqueue(post(ROOM, "a"), FlushMarker(member, waiting), CloseSubscriber(member))
    delivery.start()
    assert failed.wait(TIMEOUT_SECONDS)
    assert waiting.wait(TIMEOUT_SECONDS)
    delivery.flush(member)
    delivery.stop(0.1)
    assert transport.ended == ["closed"]


class PublishLater(LocalSequencer):
    """A sequencer that shares its numbers: its lines follow as `Publish`. While `away` it raises."""

    def __init__(self) -> None:
        super().__init__(MemoryJournal())
        self.away = False
        self.refused = threading.Event()

    def store(self, posts: Sequence[Post], sessions: Sequence[SessionState], ended: Sequence[SessionState]) -> None:
        if self.away:
            self.refused.set()
            raise JournalError("away")


def publish(first: int, last: int) -> Publish:
    """Return lines of ROOM that are stored already."""
    data = b"".join(b"/say ops %d 1000 bob red %d\n" % (seq, seq) for seq in range(first, last + 1))
    return Publish(Page(ROOM.key, ROOM.name, first, last, 1_000, data))


def test_published_lines_keep_their_order_while_nothing_can_be_stored() -> None:
    """Also those that were taken from the queue together with a post that could not be stored."""
    sequencer = PublishLater()
    delivery = Delivery(MemoryJournal(), sequencer)
    member, transport = new_member()
    delivery.start()
    delivery.submit(Subscribe(member, ROOM, 1))
    delivery.flush(member)
    sequencer.away = True
    delivery.submit(post(ROOM, "x"), publish(1, 2))
    assert sequencer.refused.wait(TIMEOUT_SECONDS)
    delivery.submit(publish(3, 4))
    sequencer.away = False
    assert eventually(lambda: any(line.startswith("/say ops 4 ") for line in transport.lines))
    delivery.stop(1.0)
    assert covered([line for line in transport.lines if line.startswith("/say")]) == [1, 2, 3, 4]
    assert [line for line in transport.lines if line.startswith("/gap")] == []


def test_missing_lines_are_a_gap_for_every_subscriber() -> None:
    """For those who are there; one who resumes from before them gets what the journal has."""
    journal = MemoryJournal()
    journal.append([publish(first, first).page for first in range(1, 6)], [], [])
    delivery = Delivery(journal, PublishLater())
    (member, transport), (late, seen) = new_member(), new_member()
    delivery.start()
    delivery.submit(Subscribe(member, ROOM, 1))
    delivery.flush(member)
    delivery.submit(publish(6, 6), publish(9, 9), Subscribe(late, ROOM, 2, after=4))
    delivery.flush(late)
    delivery.flush(member)
    assert covered([line for line in transport.lines if line.startswith(("/say", "/gap"))][-3:]) == [6, 7, 8, 9]
    assert covered([line for line in seen.lines if line.startswith(("/say", "/gap"))]) == [5, 6, 7, 8, 9]
    delivery.stop(1.0)


def test_gaps_stand_wherever_a_seq_is_missing() -> None:
    """Before the first page, between two, and after the last."""
    first, second = Page("ops", "ops", 3, 4, 0, b"x\ny\n"), Page("ops", "ops", 6, 6, 0, b"z\n")
    shown = with_gaps("ops", [first, second], 1, 8)
    assert shown == [b"/gap ops 2 2\n", b"x\ny\n", b"/gap ops 5 5\n", b"z\n", b"/gap ops 7 8\n"]
