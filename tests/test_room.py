"""The tail of a room's log, without sockets."""

import pytest

from server.room import TAIL_BYTES, TAIL_LINES, Tail


def filled(count: int) -> Tail:
    """Return a tail of `count` kept lines, the first with SEQ 1."""
    tail = Tail(0)
    for seq in range(1, count + 1):
        tail.append(b"%d\n" % seq, seq)
    return tail


def test_lines_without_a_seq_take_a_place_but_no_number() -> None:
    """A presence line has an index in the log and the SEQ of the line before it."""
    tail = filled(2)
    tail.append(b"joined\n", None)
    tail.append(b"3\n", 3)
    assert ([line.seq for line in tail.lines], tail.end, tail.seq) == ([1, 2, 2, 3], 4, 3)


def test_kept_leaves_out_presence() -> None:
    """`kept` returns what a journal would: numbered lines alone."""
    tail = filled(2)
    tail.append(b"joined\n", None)
    assert tail.kept(1, 2) == [b"2\n"]


@pytest.mark.parametrize(("place", "size", "lines"), [(0, 1, [b"1\n"]), (1, 4, [b"2\n", b"3\n"]), (2, 99, [b"3\n"])])
def test_read_from_a_place(place: int, size: int, lines: list[bytes]) -> None:
    """`read` returns the lines from an index on, about as many bytes as asked for but at least one line."""
    assert [line.data for line in filled(3).read(place, size)] == lines


def test_the_tail_is_bounded_in_lines() -> None:
    """The newest TAIL_LINES lines stay, and the floor says which SEQ went last."""
    tail = filled(TAIL_LINES + 7)
    assert (len(tail.lines), tail.floor, tail.start) == (TAIL_LINES, 7, 7)


def test_the_tail_is_bounded_in_bytes() -> None:
    """However long the lines are, they hold at most TAIL_BYTES."""
    tail = Tail(0)
    for seq in range(1, 300):
        tail.append(b"x" * 8_000, seq)
    assert TAIL_BYTES - 8_000 < sum(len(line.data) for line in tail.lines) <= TAIL_BYTES
