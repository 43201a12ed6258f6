"""The tail of a room's log, without sockets."""

import pytest

from hubbub.server.delivery.tail import TAIL_BYTES, TAIL_PAGES, Tail


def filled(*pages: bytes) -> Tail:
    """Return a tail of numbered lines, the first with SEQ 1."""
    tail = Tail(0)
    for data in pages:
        tail.append(data, data.count(b"\n"))
    return tail


def test_lines_without_a_seq_have_an_offset_but_no_number() -> None:
    """The SEQ of a presence line is that of the line before it."""
    tail = filled(b"1\n2\n")
    tail.append(b"joined\n", 0)
    tail.append(b"3\n", 1)
    assert ([page.last for page in tail.pages], tail.end, tail.seq) == ([2, 2, 3], 13, 3)


def test_read_numbered_leaves_out_presence() -> None:
    """`read_numbered` returns what a journal would: numbered lines alone."""
    tail = filled(b"1\n2\n")
    tail.append(b"joined\n", 0)
    assert tail.read_numbered(1, 2, 99) == (b"2\n", 2)


@pytest.mark.parametrize(
    ("after", "upto", "lines"),
    [(0, 6, b"1\n2\n3\n4\n5\n6\n"), (1, 5, b"2\n3\n4\n5\n"), (2, 4, b"3\n4\n"), (3, 3, b""), (3, 4, b"4\n")],
)
def test_read_numbered_cuts_pages(after: int, upto: int, lines: bytes) -> None:
    """Only the requested lines of a page are returned."""
    assert filled(b"1\n2\n3\n", b"4\n", b"5\n6\n").read_numbered(after, upto, 99) == (lines, upto)


def test_read_numbered_ends_with_the_page_that_reaches_the_size() -> None:
    """It returns the SEQ of the last line, from which the next call continues."""
    tail = filled(b"1\n2\n3\n", b"4\n", b"5\n6\n")
    assert [tail.read_numbered(1, 6, size) for size in (4, 5, 7)] == [
        (b"2\n3\n", 3),
        (b"2\n3\n4\n", 4),
        (b"2\n3\n4\n5\n6\n", 6),
    ]


@pytest.mark.parametrize(
    ("offset", "size", "lines"), [(0, 1, b"1\n2\n"), (2, 4, b"2\n3\n4\n"), (4, 99, b"3\n4\n"), (8, 1, b"")]
)
def test_read_from_an_offset(offset: int, size: int, lines: bytes) -> None:
    """`read` returns the lines from an offset on, whole pages of them until there are enough bytes."""
    assert filled(b"1\n2\n", b"3\n4\n").read(offset, size) == lines


@pytest.mark.parametrize(("offset", "seq"), [(0, 0), (2, 1), (4, 2), (9, 2), (11, 3), (13, 4)])
def test_the_seq_before_an_offset(offset: int, seq: int) -> None:
    """It counts numbered lines alone, also in the middle of a page."""
    tail = filled(b"1\n2\n")
    tail.append(b"came\n", 0)
    tail.append(b"3\n4\n", 2)
    assert tail.seq_at(offset) == seq


def test_an_offset_is_the_same_after_a_trim() -> None:
    """Dropped lines move the start, but not the offsets of the other lines."""
    tail = filled(*[b"%d\n" % number for number in range(10, 10 + TAIL_PAGES + 7)])
    tail.trim()
    assert (len(tail.pages), tail.base_seq, tail.start) == (TAIL_PAGES, 7, 21)
    assert (tail.read(24, 1), tail.seq_at(24)) == (b"18\n", 8)


def test_the_tail_is_bounded_in_bytes() -> None:
    """However long the lines are, they hold at most TAIL_BYTES."""
    tail = filled(*[b"x" * 7_999 + b"\n"] * 600)
    tail.trim()
    assert TAIL_BYTES - 8_000 < sum(len(page.data) for page in tail.pages) == tail.end - tail.start <= TAIL_BYTES
