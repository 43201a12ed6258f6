"""Tests of claims on names."""

import pytest

from hubbub.protocol import LOBBY, ProtocolError
from hubbub.server.journal.journal import JournalError
from hubbub.server.rooms.room import Member
from testing.delivery import ListTransport
from tests.server.rooms.chat import Chat

VERIFIER = "0" * 64


def make_owner(chat: Chat) -> Member:
    """Return a client that has proven to own the name alice."""
    chat.ownership.claim_name("alice", VERIFIER)
    return Member(ListTransport(), verifier=VERIFIER)


def test_owner_does_not_wait_for_the_grace() -> None:
    """An absent member with the name leaves."""
    chat = Chat("alice")
    chat.presence.hold_place(chat.members["alice"])
    owner = make_owner(chat)
    chat.membership.sign_in(owner, "alice", "red", "other token")
    assert chat.membership.find("alice") is owner
    assert chat.members["alice"].room is None


def test_owner_waits_for_a_connected_member() -> None:
    """The name is taken."""
    chat = Chat("alice")
    with pytest.raises(ProtocolError, match="name-taken"):
        chat.membership.sign_in(make_owner(chat), "alice", "red", "other token")


def test_absent_member_keeps_the_name_from_others() -> None:
    """Until the grace ends."""
    chat = Chat("alice")
    chat.presence.hold_place(chat.members["alice"])
    with pytest.raises(ProtocolError, match="name-taken"):
        chat.sign_in("alice")


@pytest.mark.parametrize("granted", [False, None])
def test_backend_does_not_grant_the_name(granted: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or cannot be asked; then the claim is released, for only the answer may be lost."""
    chat = Chat("bob")
    released: list[tuple[bytes, str]] = []

    def claim_name(*_: object) -> bool:
        if granted is None:
            raise JournalError("away")
        return granted

    monkeypatch.setattr(chat.backend, "claim_name", claim_name)
    monkeypatch.setattr(chat.backend, "release_name", lambda *claim: released.append(claim))
    bob = chat.members["bob"]
    with pytest.raises((ProtocolError, JournalError)):
        chat.membership.rename(bob, "rob", "red")
    assert bob.name == "bob"
    assert bob.state is not None
    assert released == ([(bob.state.token_hash, "bob")] if granted is None else [])


def test_refused_step_releases_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend has granted it, but the directory has it."""
    chat = Chat("alice")
    released: list[tuple[bytes, str]] = []
    monkeypatch.setattr(chat.backend, "release_name", lambda *claim: released.append(claim))
    with pytest.raises(ProtocolError, match="name-taken"):
        chat.sign_in("alice")
    assert [current for _, current in released] == [""]
    assert len(chat.directory.rooms[LOBBY].members) == 1
