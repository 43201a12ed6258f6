"""The backend of a server that has a chat to itself."""

from hubbub.server.backend import LocalBackend
from hubbub.server.journal.journal import SessionRow
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.rooms.room import SessionState

ROW = SessionRow(b"hash", "bob", "red", "ops", 7, True, 1_000, "key id")


def make_backend() -> LocalBackend:
    journal = MemoryJournal()
    journal.append([], [ROW], [])
    return LocalBackend(journal)


def test_session_is_restored_from_the_journal() -> None:
    """If it is not in memory, which is newer."""
    backend = make_backend()
    restored = backend.restore_session(b"hash", None)
    assert restored is not None
    assert (restored.name, restored.room, restored.accepted, restored.room_key_id) == ("bob", "ops", 7, "key id")
    assert backend.restore_session(b"hash", state := SessionState(b"hash")) is state
    assert backend.restore_session(b"unknown", None) is None


def test_present_sessions_are_held_after_the_start() -> None:
    """Those that had not left when the journal was last written."""
    assert [state.name for state in make_backend().held_sessions()] == ["bob"]


def test_every_name_is_granted() -> None:
    """The directory knows all members."""
    assert make_backend().claim_name("bob", b"other")
