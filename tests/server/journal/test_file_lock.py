"""The lock file: one server at a time uses a journal."""

import fcntl
from pathlib import Path

import pytest

from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.sqlite import SqliteJournal
from testing.journal import open_journal


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
