"""Helpers for tests of the journal: pages, and what a journal has stored."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hubbub.protocol import Said, encode_run
from hubbub.server.journal.journal import LocalJournal, Page, SessionRow
from hubbub.server.journal.sqlite import SqliteJournal

ALL_BYTES = 10_000_000  # more than a test stores
ROW = SessionRow(b"hash", "bob", "red", "ops", 7, True, 1_000)


def line(key: str, seq: int, text: str = "hi", time: int | None = None) -> Page:
    """Return a page of one line."""
    return page(key, seq, [text], time)


def page(key: str, first: int, texts: list[str], time: int | None = None) -> Page:
    """Return a page of lines, the first with the SEQ `first`."""
    last = first + len(texts) - 1
    time = 1_000 + last if time is None else time
    return Page(key, key, first, last, time, encode_run(Said, key, first, time, "bob", "red", texts))


def lines_in(pages: Iterable[Page]) -> list[bytes]:
    """Return the lines of pages."""
    return [line for page in pages for line in page.data.splitlines(keepends=True)]


def read_lines(journal: LocalJournal, key: str, after: int, upto: int) -> list[bytes]:
    """Return the stored lines of a room with after < SEQ <= upto."""
    return lines_in(journal.read_pages(key, after, upto, ALL_BYTES))


def read_seqs(journal: LocalJournal, key: str, after: int, upto: int) -> list[int]:
    """Return their SEQs."""
    return list(map(seq_of, read_lines(journal, key, after, upto)))


def seq_of(line: bytes) -> int:
    """Return the SEQ of a line."""
    return int(line.split()[2])


@contextmanager
def open_journal(
    path: Path, now: float = 1.0, keep_days: float = 1, keep_lines: int = 100_000
) -> Iterator[SqliteJournal]:
    """Open a journal whose clock stands still, and close it at the end."""
    journal = SqliteJournal(path, keep_days=keep_days, keep_lines=keep_lines, clock=lambda: now)
    try:
        yield journal
    finally:
        journal.close()
