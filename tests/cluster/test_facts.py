"""Facts of other servers in the tables of this one."""

from typing import cast

from hubbub.server.access.moderation import Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.room_keys import FACT_KIND as ROOM_KEY, RoomKey, RoomKeys
from hubbub.server.access.scrypt import HashedSecret, ScryptHash
from hubbub.server.cluster.facts import SharedFacts
from hubbub.server.delivery.actions import ForgetHistory
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.memory import MemoryJournal
from tests.cluster.fakes import FakeDelivery

ROOM_KEY_OF_OPS = RoomKey("ops", HashedSecret(ScryptHash.create("key")), "")


class FakeConnection:
    """A connection that notes why it was expelled."""

    def __init__(self, subnet: str) -> None:
        self.subnet = subnet
        self.actions: list[str] = []

    def expel(self, action: str) -> None:
        self.actions.append(action)


class Tables:
    """The tables of a server, and a journal that all servers share."""

    def __init__(self, journal: MemoryJournal | None = None) -> None:
        self.journal = journal or MemoryJournal()
        self.delivery = FakeDelivery()
        self.ownership = NameOwnership(self.journal)
        self.moderation = Moderation(self.journal, ["op"])
        self.room_keys = RoomKeys(self.journal)
        self.connections = [FakeConnection("192.0.2.1"), FakeConnection("192.0.2.2")]
        self.facts = SharedFacts(
            self.journal,
            cast(Delivery, self.delivery),
            self.ownership,
            self.moderation,
            self.room_keys,
            lambda: self.connections,
        )


def test_room_is_locked_and_unlocked_at_another_server() -> None:
    """The lines of the unlocked room are dropped from memory."""
    tables = Tables()
    tables.facts.apply(ROOM_KEY, "ops", ROOM_KEY_OF_OPS.to_fact(), is_own=False)
    assert tables.room_keys.id_of("ops") == ROOM_KEY_OF_OPS.id
    tables.facts.apply(ROOM_KEY, "ops", None, is_own=False)
    assert tables.room_keys.find("ops") is None
    assert tables.delivery.actions == [ForgetHistory("ops")]


def test_ban_of_an_address_expels_its_connections() -> None:
    """No others."""
    tables, other = Tables(), Tables()
    other.moderation.ban("192.0.2.1", 3600, "op")
    ((key, fact),) = other.journal.list_facts("ban").items()
    tables.facts.apply("ban", key, fact, is_own=False)
    assert [len(connection.actions) for connection in tables.connections] == [1, 0]


def test_own_facts_are_known_already() -> None:
    """But those of moderation are applied in the order of the events."""
    tables, other = Tables(), Tables()
    tables.facts.apply(ROOM_KEY, "ops", ROOM_KEY_OF_OPS.to_fact(), is_own=True)
    assert tables.room_keys.find("ops") is None
    other.moderation.mute("dora", 3600, "op")
    ((key, fact),) = other.journal.list_facts("mute").items()
    tables.facts.apply("mute", key, fact, is_own=True)
    assert tables.moderation.find_mute("dora") is not None


def test_load_brings_all_facts_up_to_date() -> None:
    """New ones are applied, and those that were removed are dropped."""
    journal = MemoryJournal()
    tables = Tables(journal)
    tables.facts.apply(ROOM_KEY, "old", RoomKey("old", ROOM_KEY_OF_OPS.secret, "").to_fact(), is_own=False)
    journal.store_fact(ROOM_KEY, "ops", ROOM_KEY_OF_OPS.to_fact())
    tables.facts.load()
    assert list(tables.room_keys.stored_facts()) == ["ops"]


def test_store_again_after_redis_has_lost_everything() -> None:
    """What another server has stored again by then stays."""
    tables = Tables()
    tables.room_keys.add(ROOM_KEY_OF_OPS)
    tables.journal.store_fact(ROOM_KEY, "ops", None)
    tables.facts.store_again()
    assert tables.journal.list_facts(ROOM_KEY) == {"ops": ROOM_KEY_OF_OPS.to_fact()}
