"""The SQLite file of a journal: its format and permissions, and files that are refused."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.sqlite import SqliteJournal
from testing.journal import line, open_journal, read_seqs


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    """Mode 600, the write-ahead log included."""
    with open_journal(tmp_path / "j.db") as journal:
        journal.append([line("ops", 1)], [], [])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) >= 3
    assert set(modes.values()) == {0o600}


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Damage in the middle is found when the file is opened."""
    path = tmp_path / "j.db"
    with open_journal(path) as journal:
        journal.append([line("ops", seq, "x" * 500) for seq in range(1, 200)], [], [])
    data = bytearray(path.read_bytes())
    data[4_096:12_288] = b"\xff" * 8_192
    path.write_bytes(data)
    with pytest.raises(JournalError, match="--journal FILE"):
        SqliteJournal(path)


def test_a_file_that_is_no_database_is_refused_and_unchanged(tmp_path: Path) -> None:
    """Notes are not overwritten, and no file is left beside them."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 1_000)
    with pytest.raises(JournalError, match="not a database"):
        SqliteJournal(path)
    assert path.read_text() == "my notes " * 1_000
    assert list(tmp_path.iterdir()) == [path]


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    """It is recognised by its header."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE cars (name TEXT)")
    other.close()
    with pytest.raises(JournalError, match="not a journal of this program"):
        SqliteJournal(path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """The error names the file and what to do."""
    with pytest.raises(JournalError, match=r"nowhere/j.db: No such file.*--journal"):
        SqliteJournal(tmp_path / "nowhere" / "j.db")


def test_a_journal_of_version_0_1_0_is_converted(tmp_path: Path) -> None:
    """Its sessions stay; no room was locked then."""
    path = tmp_path / "journal.db"
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path)) as old:
        old.execute("ALTER TABLE sessions DROP COLUMN lock")
        old.execute("INSERT INTO sessions VALUES (x'00', 'bob', 'red', 'ops', 7, 1, 1000)")
        old.execute("PRAGMA user_version = 1")
        old.commit()
    journal = SqliteJournal(path)
    assert [(row.name, row.room_key_id) for row in journal.list_present()] == [("bob", "")]
    journal.close()
    SqliteJournal(path).close()


@pytest.mark.parametrize("name", ["j.db", "j.db-wal"])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_stored_in_a_file_that_is_gone(tmp_path: Path, name: str, is_replaced: bool) -> None:
    """It would be lost. When the file is back, writing goes on."""
    path = tmp_path / name
    with open_journal(tmp_path / "j.db") as journal:
        journal.append([line("ops", 1)], [], [])
        path.rename(tmp_path / "away")
        if is_replaced:
            path.write_bytes((tmp_path / "away").read_bytes())
        for write in (journal.check, lambda: journal.append([line("ops", 2)], [], [])):
            with pytest.raises(JournalError, match=f"{name} was deleted or replaced; put it back"):
                write()
        (tmp_path / "away").rename(path)
        journal.append([line("ops", 2)], [], [])
    with open_journal(tmp_path / "j.db") as journal:
        assert read_seqs(journal, "ops", 0, 9) == [1, 2]


def test_nothing_is_stored_in_a_truncated_file(tmp_path: Path) -> None:
    """Even if it has grown again."""
    with open_journal(tmp_path / "j.db"):
        pass
    size = (tmp_path / "j.db").stat().st_size
    with open_journal(tmp_path / "j.db") as journal:
        os.truncate(tmp_path / "j.db", 0)
        with pytest.raises(JournalError, match="was truncated"):
            journal.append([line("ops", 1)], [], [])
        os.truncate(tmp_path / "j.db", size)
        with pytest.raises(JournalError, match="was truncated"):
            journal.append([line("ops", 1)], [], [])
