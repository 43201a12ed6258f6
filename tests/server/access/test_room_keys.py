"""Room keys: which rooms are locked, in memory and in the journal."""

import pytest

from hubbub.protocol import ProtocolError
from hubbub.server.access import room_keys
from hubbub.server.access.room_keys import FACT_KIND, RoomKey, RoomKeys
from hubbub.server.access.scrypt import HashedSecret, ScryptHash
from hubbub.server.journal.journal import JournalError
from hubbub.server.journal.memory import MemoryJournal
from testing.lookalikes import LOOKALIKES

HASH = ScryptHash.create("key")


def make_key(room: str = "ops") -> RoomKey:
    return RoomKey(room, HashedSecret(HASH), "alice")


def test_key_is_stored() -> None:
    """With its maker, until it is removed."""
    journal = MemoryJournal()
    first = RoomKeys(journal)
    first.add(made := make_key())
    later = RoomKeys(journal)
    later.load()
    assert (later.maker_of("ops"), later.id_of("ops"), later.flags_of("ops")) == ("alice", made.id, "locked")
    first.remove(made)
    first.store("ops")
    assert journal.list_facts(FACT_KIND) == {}
    assert (first.maker_of("ops"), first.id_of("ops"), first.flags_of("ops")) == ("", "", "-")


def test_second_key_is_refused() -> None:
    """Removing the refused one leaves the first."""
    keys = RoomKeys(MemoryJournal())
    keys.add(first := make_key())
    with pytest.raises(ProtocolError, match="room-locked"):
        keys.add(second := make_key())
    keys.remove(second)
    assert keys.find("ops") is first


def test_number_of_keys_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused."""
    monkeypatch.setattr(room_keys, "MAX_ROOM_KEYS", 1)
    keys = RoomKeys(MemoryJournal())
    keys.add(make_key())
    assert keys.list_if_full() == ["ops"]
    with pytest.raises(ProtocolError, match="too-many"):
        keys.add(make_key("dev"))


class FullJournal(MemoryJournal):
    """A journal that cannot store facts."""

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        raise JournalError("full")


def test_room_is_locked_at_two_servers_at_once() -> None:
    """The second one is refused, and applies the key of the first."""
    journal = MemoryJournal()
    one, two = RoomKeys(journal), RoomKeys(journal)
    one.add(first := make_key())
    with pytest.raises(ProtocolError, match="room-locked"):
        two.add(make_key())
    assert two.id_of("ops") == one.id_of("ops") == first.id


def test_key_that_cannot_be_stored() -> None:
    """The room stays open, as it would be after the next start."""
    keys = RoomKeys(FullJournal())
    with pytest.raises(JournalError):
        keys.add(make_key())
    assert keys.find("ops") is None


@pytest.mark.parametrize("fact", ["{}", "x", '{"hash": "scrypt:1", "maker": "a"}', "[]"])
def test_damaged_fact(fact: str) -> None:
    """The server does not start with the room open."""
    journal = MemoryJournal()
    journal.store_fact(FACT_KIND, "ops", fact)
    with pytest.raises(JournalError, match="ops"):
        RoomKeys(journal).load()


@pytest.mark.parametrize(("name", "lookalike"), LOOKALIKES)
def test_lookalike_of_a_locked_room(name: str, lookalike: str) -> None:
    """In every script."""
    room_keys = RoomKeys(MemoryJournal())
    room_keys.add(make_key(name))
    assert room_keys.find_confusable(lookalike) == name


def test_room_that_looks_like_a_locked_one_after_a_restart() -> None:
    """Loaded keys count like new ones, until they are removed."""
    journal = MemoryJournal()
    RoomKeys(journal).add(made := make_key())
    later = RoomKeys(journal)
    later.load()
    assert [later.find_confusable(room) for room in ("\u043eps", "ops", "dev")] == ["ops", "", ""]
    with pytest.raises(ProtocolError, match="room-invalid"):
        later.add(make_key("\u043eps"))
    found = later.find(made.room)
    assert found is not None
    later.remove(found)
    assert later.find_confusable("\u043eps") == ""
