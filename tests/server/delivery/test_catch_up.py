"""Subscribers that lag: they catch up from the tail or the journal, line by whole line."""

import tracemalloc

import pytest

from hubbub.protocol import LINE_BYTES, Notice
from hubbub.server.delivery.actions import (
    Broadcast,
    Reply,
    SendHistory,
    Subscribe,
    Unsubscribe,
)
from hubbub.server.delivery.catch_up import CHUNK_BYTES
from hubbub.server.delivery.tail import TAIL_PAGES
from hubbub.server.journal import history_reader
from hubbub.server.journal.journal import JournalError, Page
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.rooms.room import Room
from testing.delivery import LINES, ROOM, SlowReader, covered, long_posts, new_member, post, running_delivery
from testing.waiting import eventually


def test_a_lagging_subscriber_gets_every_line_in_the_tail(reader: SlowReader) -> None:
    """It delays nobody, and gets all later lines, each of them whole, when it reads."""
    with running_delivery() as delivery:
        other, seen = new_member()
        delivery.submit(Subscribe(reader.member, ROOM, 1), Subscribe(other, ROOM, 2))
        delivery.submit_posts(long_posts(ROOM, LINES - 1))
        delivery.submit_posts([post(ROOM, "end")])
        delivery.flush(other)
        assert len(seen.lines) == 1 + LINES
        assert reader.read_until(b"red end\n")[1:] == seen.lines[1:]


def test_lines_that_are_stored_no_longer_are_a_gap(reader: SlowReader) -> None:
    """The gap is exact, and all other lines arrive in order."""
    with running_delivery() as delivery:
        other, _ = new_member()
        delivery.submit(Subscribe(reader.member, ROOM, 1), Subscribe(other, ROOM, 2))
        for _ in range(4):
            delivery.submit_posts(long_posts(ROOM, LINES))
            delivery.flush(other)
        delivery.submit_posts([post(ROOM, "end")])
        delivery.flush(other)
        lines = reader.read_until(b"red end\n")[1:]
        assert any(line.startswith("/gap") for line in lines)
        assert covered(lines) == list(range(1, 4 * LINES + 2))


def test_a_batch_longer_than_the_tail_has_an_exact_gap(reader: SlowReader) -> None:
    """A subscriber cut off early in a batch that drops its own first lines from the tail gets a gap for these too."""
    with running_delivery() as delivery:
        other, _ = new_member()
        delivery.submit(Subscribe(reader.member, ROOM, 1), Subscribe(other, ROOM, 2))
        delivery.enqueue(*long_posts(ROOM, 3 * LINES), post(ROOM, "end"))
        delivery.flush(other)
        lines = reader.read_until(b"red end\n")[1:]
        assert covered(lines) == list(range(1, 3 * LINES + 2))


def test_a_subscriber_that_has_caught_up_is_live_again(reader: SlowReader) -> None:
    """After that it gets new lines with all others, presence lines too."""
    with running_delivery() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts([*long_posts(ROOM, 500), post(ROOM, "end")])
        reader.read_until(b"red end\n")
        delivery.submit(Broadcast(ROOM, Notice("here")))
        assert reader.read_until(b"here\n") == ["/notice here"]


def test_a_lagging_subscriber_gets_the_rest_of_its_room_before_the_next(reader: SlowReader) -> None:
    """The lines before it left come before `/entered` of the next room."""
    with running_delivery() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts(long_posts(ROOM, 200))
        delivery.submit(Unsubscribe(reader.member), Subscribe(reader.member, Room("new", "new"), 1))
        lines = reader.read_until(b"/entered new 0 1 -\n")
        assert [int(line.split()[2]) for line in lines[1:-1]] == list(range(1, 201))


def test_replies_go_between_whole_lines(reader: SlowReader) -> None:
    """A reply to a lagging subscriber never stands inside a line."""
    with running_delivery() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts(long_posts(ROOM, 100))
        delivery.submit(Reply(reader.member, b"/pong x\n"))
        delivery.submit_posts([post(ROOM, "end")])
        lines = reader.read_until(b"red end\n")
        assert "/pong x" in lines
        assert len(lines) == 1 + 100 + 1 + 1


def test_room_lines_go_between_whole_replies(reader: SlowReader) -> None:
    """While a reply to a live subscriber is cut, new lines wait behind it."""
    with running_delivery() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.flush(reader.member)
        delivery.submit(Reply(reader.member, b"y" * 200_000 + b"\n"))
        delivery.submit_posts([post(ROOM, "said")])
        delivery.submit(Reply(reader.member, b"/pong x\n"))
        delivery.submit_posts([post(ROOM, "end")])
        lines = reader.read_until(b"red end\n")
        assert lines[1] == "y" * 200_000
        assert sorted(line.split()[-1] for line in lines[2:]) == ["end", "said", "x"]


def test_a_reply_does_not_drop_a_slow_reader_of_history(reader: SlowReader) -> None:
    """However much history waits for it."""
    with running_delivery() as delivery:
        delivery.submit_posts([post(ROOM, "€" * 300) for _ in range(LINES)])
        delivery.submit(Subscribe(reader.member, ROOM, 1, after=0))
        for number in range(3):
            delivery.submit(Reply(reader.member, b"/pong %d\n" % number))
        delivery.submit_posts([post(ROOM, "end")])
        lines = reader.read_until(b"red end\n")
        assert len(lines) == 1 + LINES + 3 + 1


def test_a_ping_overtakes_a_long_history(reader: SlowReader) -> None:
    """A reply sent `at_once` comes between two chunks of history, and not at its end."""
    with running_delivery() as delivery:
        delivery.submit_posts(long_posts(ROOM, LINES))
        delivery.submit(*[Broadcast(ROOM, Notice("here"))] * (TAIL_PAGES - 100))  # they push most of it out of the tail
        delivery.flush(reader.member)
        delivery.submit(Subscribe(reader.member, ROOM, 1, after=0))
        delivery.submit(Reply(reader.member, b"/ping x\n", at_once=True))
        delivery.submit_posts([post(ROOM, "end")])
        lines = reader.read_until(b"red end\n")
        assert lines.index("/ping x") < 500
        assert covered([line for line in lines[1:] if line != "/ping x"]) == list(range(1, LINES + 2))


def test_history_is_sent_in_order_after_what_the_client_said(reader: SlowReader) -> None:
    """What is said while it is sent comes after its end."""
    with running_delivery() as delivery:
        delivery.submit_posts(long_posts(ROOM, LINES))
        delivery.submit(Subscribe(reader.member, ROOM, 1, after=LINES), post(ROOM, "said"))
        delivery.submit(SendHistory(reader.member, ROOM, 400, 0), post(ROOM, "later"))
        lines = reader.read_until(b"red later\n")[1:]
        assert covered([lines[0], *lines[1:-2], lines[-1]]) == [LINES + 1, *range(LINES - 398, LINES + 2), LINES + 2]
        assert lines[-2] == "/end history"


def test_history_before_a_line() -> None:
    """The last COUNT lines before it; a room without lines has only the end."""
    with running_delivery() as delivery:
        member, transport = new_member()
        delivery.submit(SendHistory(member, ROOM, 5, 0), *[post(ROOM, str(number)) for number in range(1, 10)])
        delivery.submit(SendHistory(member, ROOM, 2, 5))
        assert eventually(lambda: [line.split()[-1] for line in transport.lines] == ["history", "3", "4", "history"])


def test_history_that_nobody_reads_is_not_held(readers: list[SlowReader]) -> None:
    """However many clients request it, each holds one chunk of it."""
    with running_delivery() as delivery:
        delivery.submit_posts(long_posts(ROOM, LINES))
        delivery.flush(readers[0].member)
        tracemalloc.start()
        for one in readers:
            delivery.submit(SendHistory(one.member, ROOM, LINES, 0))
        assert eventually(lambda: all(one.member.subscriber.sending for one in readers))
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert held < len(readers) * (CHUNK_BYTES + LINE_BYTES)
        for one in readers:
            assert covered(one.read_until(b"/end history\n")[:-1]) == list(range(1, LINES + 1))


def test_history_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client stays, and gets the error in place of the lines and the end."""
    monkeypatch.setattr(history_reader, "RETRY_SECONDS", 0.01)

    class Unreadable(MemoryJournal):
        def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
            raise JournalError("away")

    with running_delivery(Unreadable()) as delivery:
        member, transport = new_member()
        delivery.submit(Subscribe(member, ROOM, 1), post(ROOM, "a"), SendHistory(member, ROOM, 5, 0), post(ROOM, "b"))
        assert eventually(lambda: [line.split()[0] for line in transport.lines[1:]] == ["/say", "/error", "/say"])
