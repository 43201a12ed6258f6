"""The promise of every journal, in memory or in a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hubbub.server.journal import journal as journal_module
from hubbub.server.journal.journal import LocalJournal, SessionRow
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from testing.journal import ALL_BYTES, ROW, line, lines_in, open_journal, page, read_lines, read_seqs, seq_of


@pytest.fixture(params=["memory", "file"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalJournal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    with open_journal(tmp_path / "j.db") as made:
        yield made


def test_reading_between_two_seqs(journal: LocalJournal) -> None:
    """`read_pages` returns the lines after one SEQ up to another, oldest first, as they were appended."""
    lines = [line("ops", seq) for seq in range(1, 11)]
    journal.append(lines[:6], [], [])
    journal.append(lines[6:], [], [])
    assert read_lines(journal, "ops", 3, 7) == lines_in(lines[3:7])


def test_reading_cuts_pages(journal: LocalJournal) -> None:
    """Only the requested lines of a page are returned."""
    pages = [page("ops", first, ["a", "b €", "c"]) for first in (1, 4, 7)]
    for one in pages:
        journal.append([one], [], [])
    assert read_lines(journal, "ops", 2, 7) == lines_in(pages)[2:7]
    assert [(page.first, page.last) for page in journal.read_pages("ops", 2, 7, ALL_BYTES)] == [(3, 3), (4, 6), (7, 7)]


def test_a_long_page_is_cut(journal: LocalJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next lines are those of the next call."""
    stored = page("ops", 1, ["a", "b", "c", "d"])
    size = len(stored.data) // 4
    journal.append([stored], [], [])
    monkeypatch.setattr(journal_module, "LONG_PAGE_BYTES", size + 1)
    assert journal.read_pages("ops", 0, 4, 1) == [stored.cut(0, 2)]
    assert journal.read_pages("ops", 0, 4, 3 * size) == [stored.cut(0, 3)]
    assert journal.read_pages("ops", 2, 4, ALL_BYTES) == [stored.cut(2, 4)]


def test_reading_ends_with_the_page_that_reaches_the_size(journal: LocalJournal) -> None:
    """The oldest pages are returned, so that the next call continues after the last of them."""
    pages = [page("ops", first, ["a", "b"]) for first in (1, 3, 5, 7)]
    for one in pages:
        journal.append([one], [], [])
    size = len(pages[1].data)
    for wanted, count in ((1, 1), (size, 1), (size + 1, 2), (ALL_BYTES, 3)):
        assert journal.read_pages("ops", 2, 9, wanted) == pages[1 : 1 + count]


def test_rooms_are_independent(journal: LocalJournal) -> None:
    """Each room has its own lines and its own last SEQ."""
    journal.append([line("ops", 1), line("lobby", 1), line("ops", 2)], [], [])
    assert (journal.last_seq("ops"), journal.last_seq("lobby"), journal.last_seq("nowhere")) == (2, 1, 0)


def test_a_room_has_its_spelling(journal: LocalJournal) -> None:
    """The journal returns the name of a room as it was written."""
    journal.append([line("ops", 1)._replace(room="Ops")], [], [])
    assert (journal.room_name("ops"), journal.room_name("nowhere")) == ("Ops", None)


def test_facts_are_stored_by_kind_and_key(journal: LocalJournal) -> None:
    """A fact replaces the one before it, None deletes it, and other kinds are not affected."""
    journal.store_fact("ban", "bob", "one")
    journal.store_fact("ban", "bob", "two")
    journal.store_fact("ban", "eve", "three")
    journal.store_fact("ban", "eve", None)
    journal.store_fact("ban", "nobody", None)
    assert (journal.list_facts("ban"), journal.list_facts("mute")) == ({"bob": "two"}, {})


def test_a_fact_is_added_only_without_another(journal: LocalJournal) -> None:
    """A fact that is there stays as it is."""
    assert journal.add_fact("key", "den", "one")
    assert not journal.add_fact("key", "den", "two")
    assert not journal.add_fact("key", "den", "one")
    journal.store_fact("key", "den", None)
    assert journal.add_fact("key", "den", "three")
    assert journal.list_facts("key") == {"den": "three"}


def test_a_session_is_found_until_it_ends(journal: LocalJournal) -> None:
    """It is found as it was last stored, and no longer after its end."""
    journal.append([], [ROW], [])
    journal.append([], [ROW._replace(accepted=8)], [])
    assert journal.find_session(b"hash") == ROW._replace(accepted=8)
    journal.append([], [], [b"hash"])
    assert journal.find_session(b"hash") is None


def span_of(data: bytes) -> tuple[int, int]:
    first, *_, last = data.splitlines() * 2
    return seq_of(first), seq_of(last)


class JournalModel(RuleBasedStateMachine):
    """Append, read, purge and restart do what lists and dictionaries do."""

    rooms = st.sampled_from(["lobby", "ops", "ünï"])

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, list[bytes]] = {}
        self.last: dict[str, int] = {}
        self.sessions: dict[bytes, SessionRow] = {}
        self.journal = self.open()

    def open(self) -> LocalJournal:
        return MemoryJournal()

    @rule(texts=st.lists(st.tuples(rooms, st.text("ab €", max_size=5)), max_size=5), number=st.integers(0, 2))
    def append(self, texts: list[tuple[str, str]], number: int) -> None:
        lines = []
        for room, text in texts:
            self.last[room] = self.last.get(room, 0) + 1
            lines.append(line(room, self.last[room], text))
            self.lines.setdefault(room, []).extend(lines_in(lines[-1:]))
        row = SessionRow(b"%d" % number, "bob", "red", "lobby", sum(self.last.values()), number != 1, 1_000)
        self.sessions[row.token_hash] = row
        self.journal.append(lines, [row], [])

    @rule(number=st.integers(0, 2))
    def end(self, number: int) -> None:
        self.sessions.pop(b"%d" % number, None)
        self.journal.append([], [], [b"%d" % number])

    @rule(room=rooms, after=st.integers(0, 30), length=st.integers(0, 30), size=st.integers(1, 300))
    def read(self, room: str, after: int, length: int, size: int) -> None:
        expected = [line for line in self.lines.get(room, []) if after < seq_of(line) <= after + length]
        pages = self.journal.read_pages(room, after, after + length, size)
        found = lines_in(pages)
        assert found == expected[: len(found)]
        assert found == expected or sum(map(len, found)) >= size > sum(len(page.data) for page in pages[:-1])
        assert all((page.first, page.last) == span_of(page.data) for page in pages)

    @invariant()
    def counts_and_sessions_agree(self) -> None:
        assert all(self.journal.last_seq(room) == last for room, last in self.last.items())
        assert [self.journal.find_session(b"%d" % n) for n in range(3)] == [
            self.sessions.get(b"%d" % n) for n in range(3)
        ]
        assert sorted(self.journal.list_present()) == sorted(row for row in self.sessions.values() if row.present)


def test_memory_against_a_model() -> None:
    """The journal in memory does what the model does."""
    run_state_machine_as_test(JournalModel, settings=settings(max_examples=30, deadline=None))


class FileJournalModel(JournalModel):
    """The same for a file, with restarts and purges; a page is deleted when its last line is."""

    folder = Path()
    count = 0

    def open(self) -> LocalJournal:
        FileJournalModel.count += 1
        self.path = self.folder / f"{FileJournalModel.count}.db"
        return SqliteJournal(self.path, clock=lambda: 1.0)

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = SqliteJournal(self.path, clock=lambda: 1.0)

    @rule(limit=st.integers(1, 4))
    def purge(self, limit: int) -> None:
        self.journal.close()
        self.journal = journal = SqliteJournal(self.path, keep_lines=limit, clock=lambda: 1.0)
        journal.purge_excess()
        for room, last in self.last.items():
            left = set(read_seqs(journal, room, 0, last))
            assert {seq for seq in range(max(1, last - limit + 1), last + 1) if seq in self.seqs(room)} <= left
            assert sorted(left) == list(range(min(left, default=last + 1), last + 1))
            self.lines[room] = [line for line in self.lines.get(room, []) if seq_of(line) in left]
        self.restart()  # else it would go on purging by itself

    def seqs(self, room: str) -> set[int]:
        return set(map(seq_of, self.lines.get(room, [])))

    def teardown(self) -> None:
        self.journal.close()


def test_file_against_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal in a file does what the model does, over restarts and purges."""
    monkeypatch.setattr(FileJournalModel, "folder", tmp_path)
    run_state_machine_as_test(FileJournalModel, settings=settings(max_examples=15, deadline=None))
