"""The journal in memory: its limits."""

from hubbub.server.journal.memory import MEMORY_BYTES, MEMORY_LINES, MEMORY_ROOMS, MemoryJournal
from testing.journal import line, page, read_lines, read_seqs


def test_the_oldest_lines_beyond_the_limit_of_lines_are_deleted() -> None:
    """A room has its newest MEMORY_LINES lines."""
    journal = MemoryJournal()
    journal.append([line("ops", seq) for seq in range(1, MEMORY_LINES + 6)], [], [])
    stored = read_seqs(journal, "ops", 0, MEMORY_LINES + 5)
    assert (stored[0], stored[-1], len(stored)) == (6, MEMORY_LINES + 5, MEMORY_LINES)


def test_a_page_is_deleted_when_the_others_have_enough_lines() -> None:
    """A page is deleted when MEMORY_LINES lines are left without it, and not earlier."""
    journal = MemoryJournal()
    journal.append([page("ops", 1, ["a"] * 10), page("ops", 11, ["b"] * (MEMORY_LINES - 1))], [], [])
    assert read_seqs(journal, "ops", 0, 1)
    journal.append([line("ops", MEMORY_LINES + 10)], [], [])
    assert read_seqs(journal, "ops", 0, 11) == [11]


def test_the_oldest_lines_beyond_the_limit_of_bytes_are_deleted() -> None:
    """A room has at most MEMORY_BYTES, as on the wire."""
    journal = MemoryJournal()
    lines = [line("ops", seq, "€" * 2_000) for seq in range(1, 300)]
    journal.append(lines, [], [])
    stored = b"".join(read_lines(journal, "ops", 0, 300))
    assert MEMORY_BYTES - len(lines[-1].data) < len(stored) <= MEMORY_BYTES


def test_the_room_with_the_oldest_last_line_is_deleted() -> None:
    """At most MEMORY_ROOMS rooms have history; a room with a new line stays."""
    journal = MemoryJournal()
    journal.append([line(f"r{number}", 1) for number in range(MEMORY_ROOMS)], [], [])
    journal.append([line("r0", 2), line("new", 1)], [], [])
    assert (journal.last_seq("r0"), journal.last_seq("r1"), journal.last_seq("new")) == (2, 0, 1)
