"""Members of other servers in the directory, without sockets and Redis."""

from dataclasses import replace
from typing import cast

import pytest

from hubbub.protocol import LOBBY, Joined, Left, Notice, Renamed
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.cluster.remote_members import RemoteMember, RemoteMembers
from hubbub.server.cluster.shared_session import SharedSession
from hubbub.server.delivery.actions import Broadcast, StoreSession
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.room import Member, SessionState
from testing.delivery import ListTransport
from tests.cluster.fakes import FakeDelivery

BOB = SharedSession(b"bob", "bob", "red", LOBBY, present=True, room_key_id="", verifier="", absent=False, why="")


class Chat:
    """A directory with remote members, and what it does to the delivery."""

    def __init__(self) -> None:
        self.delivery = FakeDelivery()
        self.directory = Directory(cast(Delivery, self.delivery), RoomKeys(MemoryJournal()), clock=lambda: 1.0)
        self.held: list[SessionState] = []
        self.remote_members = RemoteMembers(self.directory, self.held.append, uptime=lambda: 5.0)

    def sign_in(self, name: str) -> Member:
        member = Member(ListTransport())
        with self.directory.step():
            self.directory.register(member, SessionState(name.encode()), name, "red")
            self.directory.enter(member, self.directory.rooms[LOBBY])
        self.delivery.actions.clear()
        return member

    def shown(self) -> list[object]:
        """Return the events that are shown; nothing may be stored."""
        actions = list(self.delivery.actions)
        self.delivery.actions.clear()
        assert not [action for action in actions if isinstance(action, StoreSession)]
        return [action.event for action in actions if isinstance(action, Broadcast)]


@pytest.fixture
def chat() -> Chat:
    return Chat()


def test_remote_member_joins_moves_is_renamed_and_leaves(chat: Chat) -> None:
    """All of it is shown, and nothing stored."""
    chat.remote_members.update(BOB, "there")
    assert chat.shown() == [Joined(LOBBY, 1000, "bob", "red")]
    chat.remote_members.update(replace(BOB, name="rob"), "there")
    assert chat.shown() == [Renamed(LOBBY, 1000, "bob", "red", "rob")]
    chat.remote_members.update(replace(BOB, name="rob", room="ops"), "there")
    assert chat.shown() == [Left(LOBBY, 1000, "rob", "red", "leave"), Joined("ops", 1000, "rob", "red")]
    chat.remote_members.remove(b"bob", "exit")
    assert chat.shown() == [Left("ops", 1000, "rob", "red", "exit")]
    assert chat.directory.find("rob") is None


def test_member_who_resumed_at_another_server(chat: Chat) -> None:
    """They are remote from then on, their old connection ends, and no one sees it."""
    local = chat.sign_in("bob")
    chat.remote_members.update(BOB, "there")
    assert chat.shown() == []
    assert local.room is None
    remote = chat.directory.find("bob")
    assert isinstance(remote, RemoteMember)
    assert remote.home == "there"
    assert not chat.remote_members.is_local(b"bob")


def test_name_that_another_server_has_given_away(chat: Chat) -> None:
    """The member who has it here is expelled, and told why."""
    local = chat.sign_in("bob")
    chat.remote_members.update(replace(BOB, token_hash=b"other"), "there")
    assert "belongs to someone else" in local.farewell
    assert isinstance(chat.directory.find("bob"), RemoteMember)


def test_adopted_member_is_held_here(chat: Chat) -> None:
    """With the state that is known; one who is served here already is left alone."""
    chat.remote_members.update(BOB, "there")
    chat.remote_members.adopt(BOB)
    chat.remote_members.adopt(replace(BOB, token_hash=b"new", name="new"))
    chat.sign_in("carl")
    chat.remote_members.adopt(replace(BOB, token_hash=b"carl", name="carl"))
    assert [state.token_hash for state in chat.held] == [b"bob", b"new"]


def test_connected_member_is_not_removed(chat: Chat) -> None:
    """Only remote ones are, and absent ones whose name was given away."""
    local = chat.sign_in("bob")
    chat.remote_members.remove(b"bob", "lost")
    assert chat.directory.find("bob") is local
    local.absent = True
    chat.remote_members.remove(b"bob", "lost")
    assert chat.directory.find("bob") is None


def test_members_who_are_not_known_any_more_are_removed(chat: Chat) -> None:
    """But none of this server."""
    local = chat.sign_in("carl")
    for name in ("bob", "dora"):
        chat.remote_members.update(replace(BOB, token_hash=name.encode(), name=name), "there")
    chat.remote_members.remove_all_but({b"bob"})
    assert sorted(chat.directory.names) == ["bob", "carl"]
    assert chat.remote_members.list_local() == [local]


def test_activity_of_remote_members(chat: Chat) -> None:
    """It is noted from their lines; that of others their session notes."""
    local = chat.sign_in("carl")
    chat.remote_members.update(BOB, "there")
    remote = chat.directory.names["bob"]
    local.last_active = remote.last_active = 0.0
    chat.remote_members.note_activity({"bob", "carl", "unknown"})
    assert (remote.last_active, local.last_active) == (5.0, 0.0)


def test_notice_of_another_server(chat: Chat) -> None:
    """It is shown in an open room."""
    chat.remote_members.show_notice(LOBBY, "bob was kicked")
    chat.remote_members.show_notice("ops", "bob was kicked")
    assert chat.shown() == [Notice("bob was kicked")]
