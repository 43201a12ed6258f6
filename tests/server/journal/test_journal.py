"""The journal keeps the ordered lines of each room and who may come back, in memory and in a file alike."""

import fcntl
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hubbub.protocol import Said, encode_run
from hubbub.server.journal.journal import SESSION_SECONDS, JournalError, LocalJournal, Page, SessionRow
from hubbub.server.journal.memory import MEMORY_BYTES, MEMORY_LINES, MEMORY_ROOMS, MemoryJournal
from hubbub.server.journal.sqlite import SqliteJournal
from testing.waiting import ROOT

BIG = 10_000_000  # bytes; more than is there
ROW = SessionRow(b"hash", "bob", "red", "ops", 7, True, 1_000)


def line(key: str, seq: int, text: str = "hi", time: int | None = None) -> Page:
    """Return a page of one line."""
    return page(key, seq, [text], time)


def page(key: str, first: int, texts: list[str], time: int | None = None) -> Page:
    last = first + len(texts) - 1
    time = 1_000 + last if time is None else time
    return Page(key, key, first, last, time, encode_run(Said, key, first, time, "bob", "red", texts))


def lines_in(pages: Iterable[Page]) -> list[bytes]:
    return [line for page in pages for line in page.data.splitlines(keepends=True)]


def read(journal: LocalJournal, key: str, after: int, upto: int) -> list[bytes]:
    return lines_in(journal.read_pages(key, after, upto, BIG))


def seqs(journal: LocalJournal, key: str, after: int, upto: int) -> list[int]:
    return list(map(seq_of, read(journal, key, after, upto)))


def seq_of(line: bytes) -> int:
    return int(line.split()[2])


def span_of(data: bytes) -> tuple[int, int]:
    first, *_, last = data.splitlines() * 2
    return seq_of(first), seq_of(last)


@contextmanager
def in_file(path: Path, now: float = 1.0, keep_days: float = 1, keep_lines: int = 100_000) -> Iterator[SqliteJournal]:
    """Open a journal whose clock stands still."""
    journal = SqliteJournal(path, keep_days=keep_days, keep_lines=keep_lines, clock=lambda: now)
    try:
        yield journal
    finally:
        journal.close()


@pytest.fixture(params=["memory", "file"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalJournal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    with in_file(tmp_path / "j.db") as made:
        yield made


# -------------------------------------------------------------------------------------------------- both journals


def test_read_between_two_places(journal: LocalJournal) -> None:
    """`read` returns the lines after one SEQ up to another, oldest first, as they were given."""
    lines = [line("ops", seq) for seq in range(1, 11)]
    journal.append(lines[:6], [], [])
    journal.append(lines[6:], [], [])
    assert read(journal, "ops", 3, 7) == lines_in(lines[3:7])


def test_read_cuts_pages(journal: LocalJournal) -> None:
    """A page of many lines gives those that are asked for."""
    pages = [page("ops", first, ["a", "b €", "c"]) for first in (1, 4, 7)]
    for one in pages:
        journal.append([one], [], [])
    assert read(journal, "ops", 2, 7) == lines_in(pages)[2:7]
    assert [(page.first, page.last) for page in journal.read_pages("ops", 2, 7, BIG)] == [(3, 3), (4, 6), (7, 7)]


def test_read_ends_with_the_page_that_reaches_the_size(journal: LocalJournal) -> None:
    """The oldest come, so that reading on from the last one misses nothing."""
    pages = [page("ops", first, ["a", "b"]) for first in (1, 3, 5, 7)]
    for one in pages:
        journal.append([one], [], [])
    size = len(pages[1].data)
    for wanted, count in ((1, 1), (size, 1), (size + 1, 2), (BIG, 3)):
        assert journal.read_pages("ops", 2, 9, wanted) == pages[1 : 1 + count]


def test_rooms_are_apart(journal: LocalJournal) -> None:
    """Each room has its own lines and its own last SEQ."""
    journal.append([line("ops", 1), line("lobby", 1), line("ops", 2)], [], [])
    assert (journal.last_seq("ops"), journal.last_seq("lobby"), journal.last_seq("nowhere")) == (2, 1, 0)


def test_a_room_keeps_its_spelling(journal: LocalJournal) -> None:
    """The journal knows how a room is written."""
    journal.append([line("ops", 1)._replace(room="Ops")], [], [])
    assert (journal.room_name("ops"), journal.room_name("nowhere")) == ("Ops", None)


def test_facts_are_kept_by_kind_and_key(journal: LocalJournal) -> None:
    """The last one counts, and none is none; other kinds know nothing of it."""
    journal.store_fact("ban", "bob", "one")
    journal.store_fact("ban", "bob", "two")
    journal.store_fact("ban", "eve", "three")
    journal.store_fact("ban", "eve", None)
    journal.store_fact("ban", "nobody", None)
    assert (journal.list_facts("ban"), journal.list_facts("mute")) == ({"bob": "two"}, {})


def test_a_fact_is_added_where_there_is_none(journal: LocalJournal) -> None:
    """And what is there stays as it is."""
    assert journal.add_fact("key", "den", "one")
    assert not journal.add_fact("key", "den", "two")
    assert not journal.add_fact("key", "den", "one")
    journal.store_fact("key", "den", None)
    assert journal.add_fact("key", "den", "three")
    assert journal.list_facts("key") == {"den": "three"}


def test_facts_survive_the_server(tmp_path: Path) -> None:
    """They are in the file when `store_fact` returns."""
    with in_file(tmp_path / "j.db") as journal:
        journal.store_fact("ban", "bob", "one")
    with in_file(tmp_path / "j.db") as journal:
        assert journal.list_facts("ban") == {"bob": "one"}


def test_a_session_is_found_until_it_ends(journal: LocalJournal) -> None:
    """It is found as it was last kept, and no more when it ended."""
    journal.append([], [ROW], [])
    journal.append([], [ROW._replace(accepted=8)], [])
    assert journal.find_session(b"hash") == ROW._replace(accepted=8)
    journal.append([], [], [b"hash"])
    assert journal.find_session(b"hash") is None


# ------------------------------------------------------------------------------------------------------ in memory


def test_the_oldest_lines_go_at_the_limit_of_lines() -> None:
    """A room keeps its newest MEMORY_LINES lines."""
    journal = MemoryJournal()
    journal.append([line("ops", seq) for seq in range(1, MEMORY_LINES + 6)], [], [])
    kept = seqs(journal, "ops", 0, MEMORY_LINES + 5)
    assert (kept[0], kept[-1], len(kept)) == (6, MEMORY_LINES + 5, MEMORY_LINES)


def test_pages_go_when_the_others_have_enough_lines() -> None:
    """A page goes when MEMORY_LINES lines are left without it, and not earlier."""
    journal = MemoryJournal()
    journal.append([page("ops", 1, ["a"] * 10), page("ops", 11, ["b"] * (MEMORY_LINES - 1))], [], [])
    assert seqs(journal, "ops", 0, 1)
    journal.append([line("ops", MEMORY_LINES + 10)], [], [])
    assert seqs(journal, "ops", 0, 11) == [11]


def test_the_oldest_lines_go_at_the_limit_of_bytes() -> None:
    """A room keeps at most MEMORY_BYTES, counted as on the wire."""
    journal = MemoryJournal()
    lines = [line("ops", seq, "€" * 2_000) for seq in range(1, 300)]
    journal.append(lines, [], [])
    kept = b"".join(read(journal, "ops", 0, 300))
    assert MEMORY_BYTES - len(lines[-1].data) < len(kept) <= MEMORY_BYTES


def test_the_room_longest_silent_is_forgotten() -> None:
    """At most MEMORY_ROOMS rooms have a past; one that speaks stays."""
    journal = MemoryJournal()
    journal.append([line(f"r{number}", 1) for number in range(MEMORY_ROOMS)], [], [])
    journal.append([line("r0", 2), line("new", 1)], [], [])
    assert (journal.last_seq("r0"), journal.last_seq("r1"), journal.last_seq("new")) == (2, 0, 1)


# ------------------------------------------------------------------------------------------------------ in a file


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    """Lines, last SEQ, spelling and sessions."""
    lines = [line("ops", seq) for seq in range(1, 4)]
    with in_file(tmp_path / "j.db") as journal:
        journal.append(lines, [ROW], [])
    with in_file(tmp_path / "j.db") as journal:
        assert read(journal, "ops", 0, 3) == lines_in(lines)
        assert (journal.last_seq("ops"), journal.room_name("ops"), journal.find_session(b"hash")) == (3, "ops", ROW)


def test_what_was_appended_survives_kill_9(tmp_path: Path) -> None:
    """A process that is killed right after `append` has lost nothing."""
    script = (
        "import os, sys; from pathlib import Path; from tests.server.journal.test_journal import *\n"
        "SqliteJournal(Path(sys.argv[1])).append([line('ops', 1)], [], []); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "j.db")], cwd=ROOT, timeout=20, check=False)
    assert killed.returncode == -9
    with in_file(tmp_path / "j.db") as journal:
        assert seqs(journal, "ops", 0, 10) == [1]


def test_a_room_holds_no_more_lines_than_are_kept(tmp_path: Path) -> None:
    """The oldest pages go; SEQ goes on where it was, also after a restart."""
    with in_file(tmp_path / "j.db", keep_lines=25) as journal:
        for seq in range(1, 101):
            journal.append([line("ops", seq)], [], [])
        journal.purge_excess()
        assert seqs(journal, "ops", 0, 100) == list(range(76, 101))
    with in_file(tmp_path / "j.db", keep_lines=25) as journal:
        assert journal.last_seq("ops") == 100


def test_old_lines_go_and_their_numbers_are_not_given_again(tmp_path: Path) -> None:
    """What is older than it is kept is purged, and a room of which nothing is left still counts on."""
    with in_file(tmp_path / "j.db", now=100.0) as journal:
        journal.append([line("old", 1, time=90_000), line("both", 1, time=90_000)], [], [])
        journal.append([line("both", 2, time=100_000)], [], [])
    with in_file(tmp_path / "j.db", now=86_400 + 95.0) as journal:
        journal.purge_expired()
        assert (seqs(journal, "old", 0, 9), seqs(journal, "both", 0, 9)) == ([], [2])
    with in_file(tmp_path / "j.db", now=86_400 + 95.0) as journal:
        assert (journal.last_seq("old"), journal.last_seq("both")) == (1, 2)


def test_what_is_said_while_old_lines_are_purged_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that comes between the look for what is old and its deletion is not old."""
    with in_file(tmp_path / "j.db", now=86_500.0) as journal:
        journal.append([line("ops", 1, time=1_000)], [], [])
        look = journal._read_rows

        def look_and_speak(statement: str, *values: object) -> list[tuple[Any, ...]]:
            rows = look(statement, *values)
            if statement.startswith("SELECT first"):
                journal.append([line("ops", 2, time=86_500_000)], [], [])
            return rows

        monkeypatch.setattr(journal, "_read_rows", look_and_speak)
        journal.purge_expired()
        assert seqs(journal, "ops", 0, 9) == [2]


def test_who_is_here_does_not_expire(tmp_path: Path) -> None:
    """However long ago he last did something."""
    with in_file(tmp_path / "j.db", now=1.0) as journal:
        journal.append([], [ROW], [])
    with in_file(tmp_path / "j.db", now=1.1 + SESSION_SECONDS) as journal:
        journal.purge_expired()
        assert journal.find_session(b"hash") == ROW


def test_a_session_expires(tmp_path: Path) -> None:
    """After SESSION_SECONDS it cannot be resumed, and purging forgets it."""
    with in_file(tmp_path / "j.db", now=1.0) as journal:
        journal.append([], [ROW._replace(present=False)], [])
    with in_file(tmp_path / "j.db", now=1.1 + SESSION_SECONDS) as journal:
        assert journal.find_session(b"hash") is None
        journal.purge_expired()
    with in_file(tmp_path / "j.db", now=1.0) as journal:
        assert journal.find_session(b"hash") is None


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """Mode 600, the write-ahead log as well."""
    with in_file(tmp_path / "j.db") as journal:
        journal.append([line("ops", 1)], [], [])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) >= 3
    assert set(modes.values()) == {0o600}


def test_a_second_one_on_the_same_file_is_refused(tmp_path: Path) -> None:
    """While one has it; afterwards it is free."""
    with in_file(tmp_path / "j.db"), pytest.raises(JournalError, match="another server uses it"):
        SqliteJournal(tmp_path / "j.db")
    with in_file(tmp_path / "j.db"):
        pass


def test_a_lock_that_is_taken_away_while_it_is_had_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one would have the old one, and another the new one."""
    path = tmp_path / "j.db"
    locked: list[int] = []

    def lock_late(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        locked.append(descriptor)
        if len(locked) == 1:  # a server whose journal was none has just ended
            path.with_name("j.db.lock").unlink()

    flock = fcntl.flock
    monkeypatch.setattr("hubbub.server.journal.file_lock.fcntl.flock", lock_late)
    with in_file(path):
        assert len(locked) == 2
        with pytest.raises(JournalError, match="another server uses it"):
            SqliteJournal(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Damage in the middle is found when it is opened."""
    path = tmp_path / "j.db"
    with in_file(path) as journal:
        journal.append([line("ops", seq, "x" * 500) for seq in range(1, 200)], [], [])
    data = bytearray(path.read_bytes())
    data[4_096:12_288] = b"\xff" * 8_192
    path.write_bytes(data)
    with pytest.raises(JournalError, match="--journal FILE"):
        SqliteJournal(path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Nobody's notes are overwritten, and nothing is left beside them."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 1_000)
    with pytest.raises(JournalError, match="not a database"):
        SqliteJournal(path)
    assert path.read_text() == "my notes " * 1_000
    assert list(tmp_path.iterdir()) == [path]


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """It is told by its header."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE cars (name TEXT)")
    other.close()
    with pytest.raises(JournalError, match="not a journal of this program"):
        SqliteJournal(path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The error names the file and what to do."""
    with pytest.raises(JournalError, match=r"nowhere/j.db: No such file.*--journal"):
        SqliteJournal(tmp_path / "nowhere" / "j.db")


# ------------------------------------------------------------------------------------------------ against a model


class AgainstAModel(RuleBasedStateMachine):
    """Append, read, purge and restart do what lists and dictionaries do."""

    rooms = st.sampled_from(["lobby", "ops", "ünï"])
    kept = 1_000_000

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, list[bytes]] = {}
        self.last: dict[str, int] = {}
        self.sessions: dict[bytes, SessionRow] = {}
        self.journal = self.open()

    def open(self) -> LocalJournal:
        return MemoryJournal()

    @rule(said=st.lists(st.tuples(rooms, st.text("ab €", max_size=5)), max_size=5), number=st.integers(0, 2))
    def append(self, said: list[tuple[str, str]], number: int) -> None:
        lines = []
        for room, text in said:
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


class FileAgainstAModel(AgainstAModel):
    """The same for a file, with restarts and purges; a page goes when its last line does."""

    folder = Path()
    count = 0

    def open(self) -> LocalJournal:
        FileAgainstAModel.count += 1
        self.path = self.folder / f"{FileAgainstAModel.count}.db"
        return SqliteJournal(self.path, clock=lambda: 1.0)

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = SqliteJournal(self.path, clock=lambda: 1.0)

    @rule(kept=st.integers(1, 4))
    def purge(self, kept: int) -> None:
        self.journal.close()
        self.journal = journal = SqliteJournal(self.path, keep_lines=kept, clock=lambda: 1.0)
        journal.purge_excess()
        for room, last in self.last.items():
            left = set(seqs(journal, room, 0, last))
            assert {seq for seq in range(max(1, last - kept + 1), last + 1) if seq in self.seqs(room)} <= left
            assert sorted(left) == list(range(min(left, default=last + 1), last + 1))
            self.lines[room] = [line for line in self.lines.get(room, []) if seq_of(line) in left]
        self.restart()  # else it would go on purging by itself

    def seqs(self, room: str) -> set[int]:
        return set(map(seq_of, self.lines.get(room, [])))

    def teardown(self) -> None:
        self.journal.close()


def test_memory_against_a_model() -> None:
    """The journal in memory does what the model does."""
    run_state_machine_as_test(AgainstAModel, settings=settings(max_examples=30, deadline=None))


def test_file_against_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal in a file does what the model does, over restarts and purges."""
    monkeypatch.setattr(FileAgainstAModel, "folder", tmp_path)
    run_state_machine_as_test(FileAgainstAModel, settings=settings(max_examples=15, deadline=None))
