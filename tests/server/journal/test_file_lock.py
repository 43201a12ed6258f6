"""The lock file: one server at a time uses a journal."""

import fcntl
from pathlib import Path

import pytest

from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.sqlite import SqliteJournal
from testing.journal import line, open_journal, read_seqs


def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    """Until the first one closes the journal."""
    with open_journal(tmp_path / "j.db"), pytest.raises(JournalError, match="another server uses it"):
        SqliteJournal(tmp_path / "j.db")
    with open_journal(tmp_path / "j.db"):
        pass


def test_a_lock_file_that_is_removed_is_locked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise one server would have the old lock file, and another one the new."""
    path = tmp_path / "j.db"
    locked: list[int] = []

    def lock_then_remove(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        locked.append(descriptor)
        if len(locked) == 1:  # another server has just refused a file that is no journal
            path.with_name("j.db.lock").unlink()

    flock = fcntl.flock
    monkeypatch.setattr("hubbub.server.journal.file_lock.fcntl.flock", lock_then_remove)
    with open_journal(path):
        assert len(locked) == 2
        with pytest.raises(JournalError, match="another server uses it"):
            SqliteJournal(path)


def test_a_symbolic_link_leads_to_the_same_lock(tmp_path: Path) -> None:
    """A second server that names the file by a link to it, or through a linked folder, is refused."""
    (tmp_path / "link.db").symlink_to(tmp_path / "j.db")
    (tmp_path / "folder").symlink_to(tmp_path)
    with open_journal(tmp_path / "j.db"):
        for path in (tmp_path / "link.db", tmp_path / "folder" / "j.db"):
            with pytest.raises(JournalError, match="another server uses it"):
                SqliteJournal(path)
    with open_journal(tmp_path / "link.db"), pytest.raises(JournalError, match="another server uses it"):
        SqliteJournal(tmp_path / "j.db")


def test_a_file_with_several_hard_links_is_refused(tmp_path: Path) -> None:
    """Its write-ahead log stands beside one of the names, so a server that uses another name would miss lines."""
    with open_journal(tmp_path / "j.db") as journal:
        journal.append([line("ops", 1)], [], [])
        (tmp_path / "link.db").hardlink_to(tmp_path / "j.db")
        with pytest.raises(JournalError, match=r"2 names \(hard links\); remove all but one, or copy the file"):
            SqliteJournal(tmp_path / "link.db")
    assert not (tmp_path / "link.db.lock").exists()
    (tmp_path / "link.db").unlink()
    with open_journal(tmp_path / "j.db") as journal:
        assert read_seqs(journal, "ops", 0, 9) == [1]


@pytest.mark.skipif(not hasattr(fcntl, "F_OFD_SETLK"), reason="this system cannot lock the file itself")
def test_a_file_that_was_moved_is_still_locked(tmp_path: Path) -> None:
    """The lock belongs to the file, not only to its name."""
    with open_journal(tmp_path / "j.db"):
        (tmp_path / "j.db").rename(tmp_path / "moved.db")
        with pytest.raises(JournalError, match="another server uses it"):
            SqliteJournal(tmp_path / "moved.db")
        (tmp_path / "moved.db").rename(tmp_path / "j.db")
