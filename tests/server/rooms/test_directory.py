"""Names, sessions and rooms: the parts of which every step is made."""

import pytest

from hubbub.protocol import LOBBY, ProtocolError
from hubbub.server.access.room_keys import RoomKey
from hubbub.server.access.scrypt import HashedSecret, ScryptHash
from hubbub.server.delivery.actions import StoreSession
from hubbub.server.rooms.room import Member, Room
from testing.delivery import ListTransport
from tests.server.rooms.chat import Chat


def test_replace_gives_the_place_to_another_connection() -> None:
    """Name, session and room are the new one's; the old one has none."""
    chat = Chat("bob")
    before, member = chat.members["bob"], Member(ListTransport())
    with chat.directory.step():
        chat.directory.replace(before, member)
    assert chat.directory.names == {"bob": member}
    assert list(chat.directory.sessions.values()) == [member]
    assert chat.directory.rooms[LOBBY].members == {"bob": member}
    assert before.room is None
    assert chat.queue.shown() == []


def test_leave_is_idempotent_and_stored_once() -> None:
    """With the reason."""
    chat = Chat("bob")
    with chat.directory.step():
        chat.directory.leave(chat.members["bob"], "exit", ended=True)
        chat.directory.leave(chat.members["bob"], "lost")
    stored = [entry for entry in chat.queue.entries if isinstance(entry, StoreSession)]
    assert [(entry.present, entry.ended, entry.why) for entry in stored] == [(False, True, "exit")]
    assert not chat.directory.names
    assert not chat.directory.sessions


def test_remove_stores_nothing() -> None:
    """The caller knows that another server does."""
    chat = Chat("bob")
    with chat.directory.step():
        chat.directory.remove(chat.members["bob"], "lost")
    assert not [entry for entry in chat.queue.entries if isinstance(entry, StoreSession)]


def test_closed_directory() -> None:
    """It refuses moves, and members stay present so that they can resume after a restart."""
    chat = Chat("bob")
    chat.directory.close()
    with pytest.raises(ProtocolError, match="server-stopping"):
        chat.directory.refuse_when_closed()
    with chat.directory.step():
        chat.directory.leave(chat.members["bob"], "lost")
    assert not [entry for entry in chat.queue.entries if isinstance(entry, StoreSession)]


def test_reopen_room_needs_the_same_key() -> None:
    """With another key, or none, the member is in the lobby."""
    chat = Chat()
    room_key = RoomKey("ops", HashedSecret(ScryptHash.create("key")), "", entries=1)
    chat.room_keys.add(room_key)
    with chat.directory.step():
        assert chat.directory.reopen_room("ops", room_key.id).name == "ops"
        assert chat.directory.reopen_room("ops", "other").name == LOBBY
        assert chat.directory.reopen_room("dev", "").name == "dev"
    assert room_key.entries == 2


def test_room_closes_with_its_last_member() -> None:
    """The count of rooms that its maker made, too."""
    chat = Chat("bob")
    bob = chat.members["bob"]
    with chat.directory.step():
        chat.directory.remove_from_room(bob, "leave")
        chat.directory.put_in_room(bob, Room("ops", "ops", b"maker"))
        assert chat.directory.rooms_made[b"maker"] == 1
        chat.directory.remove_from_room(bob, "leave")
    assert list(chat.directory.rooms) == [LOBBY]
    assert b"maker" not in chat.directory.rooms_made
