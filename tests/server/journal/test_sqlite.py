"""The journal in an SQLite file: restarts and expiry."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubbub.server.journal import sqlite
from hubbub.server.journal.journal import SESSION_SECONDS
from hubbub.server.journal.sqlite import PAGE_BYTES
from testing.journal import ALL_BYTES, ROW, line, lines_in, open_journal, read_lines, read_seqs
from testing.server import captured_log
from testing.waiting import ROOT, eventually

FILE_PAGE_BYTES = 4_096  # of SQLite
TABLE_LEAF, INDEX_LEAF = b"\x0d", b"\x0a"  # the first byte of such a page


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    """Lines, last SEQ, room name and sessions."""
    lines = [line("ops", seq) for seq in range(1, 4)]
    with open_journal(tmp_path / "j.db") as journal:
        journal.append(lines, [ROW], [])
    with open_journal(tmp_path / "j.db") as journal:
        assert read_lines(journal, "ops", 0, 3) == lines_in(lines)
        assert (journal.last_seq("ops"), journal.room_name("ops"), journal.find_session(b"hash")) == (3, "ops", ROW)


def test_a_long_batch_becomes_several_pages(tmp_path: Path) -> None:
    """Each has PAGE_BYTES, so that a client that reads slowly holds no more than a few lines of it."""
    lines = [line("ops", seq, "x" * 900) for seq in range(1, 201)]
    with open_journal(tmp_path / "j.db") as journal:
        journal.append(lines, [], [])
        pages = journal.read_pages("ops", 0, 200, ALL_BYTES)
        assert lines_in(pages) == lines_in(lines)
        assert max(len(page.data) for page in pages) < PAGE_BYTES + 1_000
        assert len(pages) == 3


def test_facts_are_there_after_a_restart(tmp_path: Path) -> None:
    """They are in the file when `store_fact` returns."""
    with open_journal(tmp_path / "j.db") as journal:
        journal.store_fact("ban", "bob", "one")
    with open_journal(tmp_path / "j.db") as journal:
        assert journal.list_facts("ban") == {"bob": "one"}


def test_appended_lines_survive_sigkill(tmp_path: Path) -> None:
    """A process that is killed right after `append` has lost nothing."""
    script = (
        "import os, sys; from pathlib import Path; from testing.journal import *\n"
        "SqliteJournal(Path(sys.argv[1])).append([line('ops', 1)], [], []); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "j.db")], cwd=ROOT, timeout=20, check=False)
    assert killed.returncode == -9
    with open_journal(tmp_path / "j.db") as journal:
        assert read_seqs(journal, "ops", 0, 10) == [1]


def test_lines_beyond_the_limit_are_purged(tmp_path: Path) -> None:
    """The oldest pages are deleted; SEQ continues, also after a restart."""
    with open_journal(tmp_path / "j.db", keep_lines=25) as journal:
        for seq in range(1, 101):
            journal.append([line("ops", seq)], [], [])
        journal.purge_excess()
        assert read_seqs(journal, "ops", 0, 100) == list(range(76, 101))
    with open_journal(tmp_path / "j.db", keep_lines=25) as journal:
        assert journal.last_seq("ops") == 100


def test_the_seqs_of_expired_lines_are_not_reused(tmp_path: Path) -> None:
    """Expired lines are purged; a room that has lines or sessions still has its last SEQ."""
    with open_journal(tmp_path / "j.db", now=100.0) as journal:
        journal.append([line("old", 1, time=90_000), line("both", 1, time=90_000)], [ROW._replace(room="Old")], [])
        journal.append([line("both", 2, time=100_000)], [], [])
    for _ in range(2):
        with open_journal(tmp_path / "j.db", now=86_400 + 95.0) as journal:
            journal.purge_expired()
            assert (read_seqs(journal, "old", 0, 9), read_seqs(journal, "both", 0, 9)) == ([], [2])
            assert (journal.last_seq("old"), journal.last_seq("both")) == (1, 2)
            assert journal.room_name("old") == "old"


def test_a_room_without_lines_is_forgotten(tmp_path: Path) -> None:
    """Nothing of it stays, in memory or in the file; its next line is the first one."""
    with open_journal(tmp_path / "j.db", now=100.0) as journal:
        journal.append([line(f"r{number}", 7, time=90_000) for number in range(250)], [], [])
        assert (journal.last_seq("r3"), journal.room_name("r3")) == (7, "r3")
    with open_journal(tmp_path / "j.db", now=86_400 + 95.0) as journal:
        assert eventually(lambda: journal._read_rows("SELECT count(*) FROM rooms") == [(0,)])
        journal.purge_expired()
        assert (journal.last_seq("r3"), journal.room_name("r3")) == (0, None)
        journal.append([line("r3", 1, time=86_495_000)], [], [])
        assert (journal.last_seq("r3"), journal.room_name("r3")) == (1, "r3")


def test_few_rooms_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are looked up; all have their last SEQ and spelling."""
    monkeypatch.setattr(sqlite, "ROOMS_CACHED", 10)
    keys = [f"r{number}" for number in range(100)]
    with open_journal(tmp_path / "j.db") as journal:
        for seq in (1, 2, 3):
            for key in keys:
                assert journal.last_seq(key) == seq - 1
                journal.append([line(key, seq)._replace(room=key.upper())], [], [])
                assert (journal.last_seq(key), journal.room_name(key)) == (seq, key.upper())
        assert len(journal._rooms) == 10
    with open_journal(tmp_path / "j.db") as journal:
        assert not journal._rooms
        assert {journal.last_seq(key) for key in keys} == {3}


def test_a_lower_limit_of_lines_holds_for_rooms_that_are_silent(tmp_path: Path) -> None:
    """Their lines are purged after the next start."""
    with open_journal(tmp_path / "j.db") as journal:
        for seq in range(1, 101):
            journal.append([line("ops", seq)], [], [])
    with open_journal(tmp_path / "j.db", keep_lines=25) as journal:
        assert eventually(lambda: read_seqs(journal, "ops", 0, 100) == list(range(76, 101)))


def test_a_line_that_comes_during_a_purge_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that comes between the search for expired lines and their deletion is not expired."""
    with open_journal(tmp_path / "j.db", now=86_500.0) as journal:
        journal.append([line("ops", 1, time=1_000)], [], [])
        read_rows = journal._read_rows

        def read_then_append(statement: str, *values: object) -> list[tuple[Any, ...]]:
            rows = read_rows(statement, *values)
            if statement.startswith("SELECT room, last"):
                journal.append([line("ops", 2, time=86_500_000)], [], [])
            return rows

        monkeypatch.setattr(journal, "_read_rows", read_then_append)
        journal.purge_expired()
        assert read_seqs(journal, "ops", 0, 9) == [2]


def test_the_session_of_a_member_who_has_not_left_does_not_expire(tmp_path: Path) -> None:
    """However long ago it was last seen."""
    with open_journal(tmp_path / "j.db", now=1.0) as journal:
        journal.append([], [ROW], [])
    with open_journal(tmp_path / "j.db", now=1.1 + SESSION_SECONDS) as journal:
        journal.purge_expired()
        assert journal.find_session(b"hash") == ROW


def test_a_session_expires(tmp_path: Path) -> None:
    """After SESSION_SECONDS it cannot be resumed, and a purge deletes it."""
    with open_journal(tmp_path / "j.db", now=1.0) as journal:
        journal.append([], [ROW._replace(present=False)], [])
    with open_journal(tmp_path / "j.db", now=1.1 + SESSION_SECONDS) as journal:
        assert journal.find_session(b"hash") is None
        journal.purge_expired()
    with open_journal(tmp_path / "j.db", now=1.0) as journal:
        assert journal.find_session(b"hash") is None


def test_maintenance_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All connections are opened at the start, so a lack of descriptors later does not end checkpoints."""
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_at_start(*arguments: Any, **options: Any) -> sqlite3.Connection:
        if threading.current_thread().name == "journal":
            raise sqlite3.OperationalError("unable to open database file")
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_at_start)
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append([line("ops", 1, "checkpointed")], [], [])
        assert eventually(lambda: b"checkpointed" in path.read_bytes())


def test_bug_does_not_end_the_maintenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and the next checkpoint follows."""
    monkeypatch.setattr(sqlite, "MAINTENANCE_SECONDS", 0.01)
    path = tmp_path / "j.db"
    with captured_log() as log, open_journal(path) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(journal, "purge_excess", lambda: 1 // 0)
            journal.append([line("ops", 1)], [], [])
            assert eventually(lambda: any("maintenance of the journal failed" in entry for entry in log))
        journal.append([line("ops", 2, "checkpointed")], [], [])
        assert eventually(lambda: b"checkpointed" in path.read_bytes())


def _damage_file_page(path: Path, content: bytes, first_byte: bytes = b"") -> None:
    """Overwrite the middle one of the pages of the SQLite file that have `content` and begin with `first_byte`."""
    data = path.read_bytes()
    found = [
        at
        for at in range(FILE_PAGE_BYTES, len(data), FILE_PAGE_BYTES)
        if content in data[at : at + FILE_PAGE_BYTES] and data[at:].startswith(first_byte)
    ]
    with path.open("r+b") as file:
        file.seek(found[len(found) // 2])
        file.write(b"\xff" * FILE_PAGE_BYTES)


@pytest.mark.parametrize(
    ("content", "first_byte"),
    [(b"text 260 ", b""), (b"/say ops 1", TABLE_LEAF), (b"ops", INDEX_LEAF)],
    ids=["lines", "rows", "index"],
)
def test_damaged_lines_are_left_out(tmp_path: Path, content: bytes, first_byte: bytes) -> None:
    """A reader gets all lines before and behind those that cannot be read, and the log names the room once."""
    with open_journal(tmp_path / "j.db") as journal:
        for first in range(1, 501, 100):
            journal.append([line("ops", seq, f"text {seq} " + "x" * 500) for seq in range(first, first + 100)], [], [])
        for seq in range(501, 2_001):
            journal.append([line("ops", seq)], [], [])
    with open_journal(tmp_path / "j.db") as journal, captured_log() as log:
        _damage_file_page(tmp_path / "j.db", content, first_byte)
        with journal._database.reading() as reader:
            reader.execute("PRAGMA shrink_memory")  # drops what was read before
        seqs = read_seqs(journal, "ops", 0, 2_000)
        assert {*range(1, 101), *range(1_901, 2_001)} <= set(seqs)
        assert 1_000 < len(seqs) < 2_000
        assert seqs == sorted(set(seqs))
        assert "damaged" in log[0]
        journal.append([line("ops", 2_001)], [], [])
        assert read_seqs(journal, "ops", 1_999, 2_001) == [2_000, 2_001]


def test_lines_that_are_no_lines_are_left_out(tmp_path: Path) -> None:
    """SQLite does not notice when the bytes of a page change, but their number of lines is wrong."""
    with open_journal(tmp_path / "j.db") as journal:
        for first in range(1, 31, 10):
            journal.append([line("ops", seq) for seq in range(first, first + 10)], [], [])
        with journal._database.transaction() as writer:
            writer.execute("UPDATE pages SET lines = replace(lines, x'0A', ' ') WHERE first = 11")
        assert read_seqs(journal, "ops", 0, 30) == [*range(1, 11), *range(21, 31)]
        assert read_seqs(journal, "ops", 14, 25) == [*range(21, 26)]
