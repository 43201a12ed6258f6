"""The journal keeps the ordered lines of each room, within its limits."""

from protocol import Said
from server.journal import MEMORY_BYTES, MEMORY_LINES, MEMORY_ROOMS, KeptLine, MemoryJournal


def line(key: str, seq: int, text: str = "hi") -> KeptLine:
    event = Said(key, seq, 1_000 + seq, "bob", "red", text)
    return KeptLine(key, event, len(event.encode()))


def seqs(journal: MemoryJournal, key: str, after: int, upto: int, limit: int = 10_000) -> list[int]:
    return [event.seq for event in journal.read(key, after, upto, limit)]


def test_read_between_two_places() -> None:
    """`read` returns the lines after one SEQ up to another, oldest first."""
    journal = MemoryJournal()
    journal.append([line("ops", seq) for seq in range(1, 11)])
    assert seqs(journal, "ops", 3, 7) == [4, 5, 6, 7]


def test_read_with_a_limit_gives_the_oldest() -> None:
    """`limit` cuts at the new end, so that reading on from the last one misses nothing."""
    journal = MemoryJournal()
    journal.append([line("ops", seq) for seq in range(1, 11)])
    assert seqs(journal, "ops", 3, 9, 2) == [4, 5]


def test_rooms_are_apart() -> None:
    """Each room has its own lines and its own last SEQ."""
    journal = MemoryJournal()
    journal.append([line("ops", 1), line("lobby", 1), line("ops", 2)])
    assert (journal.last("ops"), journal.last("lobby"), journal.last("nowhere")) == (2, 1, 0)


def test_the_oldest_lines_go_at_the_limit_of_lines() -> None:
    """A room keeps its newest MEMORY_LINES lines."""
    journal = MemoryJournal()
    journal.append([line("ops", seq) for seq in range(1, MEMORY_LINES + 6)])
    kept = seqs(journal, "ops", 0, MEMORY_LINES + 5)
    assert (kept[0], kept[-1], len(kept)) == (6, MEMORY_LINES + 5, MEMORY_LINES)


def test_the_oldest_lines_go_at_the_limit_of_bytes() -> None:
    """A room keeps at most MEMORY_BYTES, counted as on the wire."""
    journal = MemoryJournal()
    lines = [line("ops", seq, "€" * 2_000) for seq in range(1, 300)]
    journal.append(lines)
    kept = journal.read("ops", 0, 300, 1_000)
    assert MEMORY_BYTES - lines[-1].size < sum(len(event.encode()) for event in kept) <= MEMORY_BYTES


def test_the_room_longest_silent_is_forgotten() -> None:
    """At most MEMORY_ROOMS rooms have a past; one that speaks stays."""
    journal = MemoryJournal()
    journal.append([line(f"r{number}", 1) for number in range(MEMORY_ROOMS)])
    journal.append([line("r0", 2), line("new", 1)])
    assert (journal.last("r0"), journal.last("r1"), journal.last("new")) == (2, 0, 1)
