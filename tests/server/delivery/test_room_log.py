"""The log of a room: pages in order, gaps, and lines without a SEQ between them."""

from hubbub.server.delivery.room_log import RoomLog
from hubbub.server.journal.journal import Page


def page(first: int, last: int) -> Page:
    data = b"".join(b"%d\n" % seq for seq in range(first, last + 1))
    return Page("ops", "ops", first, last, 0, data)


def test_pages_follow_each_other() -> None:
    """A page that is there already is ignored."""
    log = RoomLog("ops", "ops", 2)
    for each in (page(3, 4), page(3, 4), page(5, 5)):
        log.publish(each)
    assert (log.unflushed, log.tail.seq) == ([b"3\n4\n", b"5\n"], 5)


def test_missing_lines_are_a_gap() -> None:
    """It stands before the next line; the tail then has only what follows it."""
    log = RoomLog("ops", "ops", 2)
    log.publish(page(3, 3))
    log.publish(page(6, 6))
    assert log.unflushed == [b"3\n", b"/gap ops 4 5\n", b"6\n"]
    assert [log.tail.has_all_after(seq) for seq in range(2, 7)] == [False, False, False, True, False]


def test_a_line_without_a_seq_waits_for_the_lines_stored_before_it() -> None:
    """While these are still to be published."""
    log = RoomLog("ops", "ops", 2)
    log.broadcast(b"joined\n")
    log.expect(4)
    log.broadcast(b"left\n")
    log.publish(page(3, 3))
    assert log.unflushed == [b"joined\n", b"3\n"]
    log.publish(page(4, 5))
    assert log.unflushed == [b"joined\n", b"3\n", b"4\n5\n", b"left\n"]
