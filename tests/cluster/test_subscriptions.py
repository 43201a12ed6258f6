"""Which rooms are read, and how far, with a stand-in for Redis."""

import threading
from typing import cast

import pytest

from hubbub.server.cluster import subscriptions as module
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.cluster.subscriptions import Subscriptions
from hubbub.server.journal.journal import JournalError
from tests.cluster.fakes import FakeRedisClient


def make(opened: list[int] | None = None, **last_seqs: int) -> Subscriptions:
    """Return subscriptions to rooms with these last SEQs."""
    calls = [] if opened is None else opened
    return Subscriptions(cast(RedisClient, FakeRedisClient(**last_seqs)), lambda: calls.append(1))


def test_open_returns_the_prepared_position() -> None:
    """The room is read from there, and the follower told once."""
    opened: list[int] = []
    subscriptions = make(opened, ops=7)
    subscriptions.prepare("ops")
    assert subscriptions.positions() == {}
    assert [subscriptions.open("ops"), subscriptions.open("ops")] == [7, 7]
    assert subscriptions.positions() == {"ops": 7}
    assert opened == [1]


def test_closed_room_is_read_no_more() -> None:
    """Its position stays known, and grows with the next preparation."""
    subscriptions = make(ops=7)
    subscriptions.prepare("ops")
    subscriptions.open("ops")
    subscriptions.note_read("ops", 9)
    subscriptions.close("ops")
    subscriptions.note_read("ops", 11)
    assert subscriptions.positions() == {}
    assert subscriptions.all_positions() == {"ops": 9}


def test_prepare_waits_for_lines_that_a_member_has_seen() -> None:
    """Until the follower has read them."""
    subscriptions = make(ops=7)
    subscriptions.open("ops")
    reader = threading.Thread(target=subscriptions.note_read, args=("ops", 7))
    reader.start()
    subscriptions.prepare("ops", 9)  # more than there is
    reader.join()
    assert subscriptions.positions() == {"ops": 7}


def test_prepare_gives_up_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """After CATCH_UP_SECONDS."""
    monkeypatch.setattr(module, "CATCH_UP_SECONDS", 0.01)
    subscriptions = make(ops=7)
    subscriptions.open("ops")
    with pytest.raises(JournalError, match="have not come"):
        subscriptions.prepare("ops", 7)


def test_closed_rooms_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first, and no open one."""
    monkeypatch.setattr(module, "ROOMS_KNOWN", 2)
    subscriptions = make()
    subscriptions._forget_at = 2
    subscriptions.open("open")
    for number in range(9):
        subscriptions.prepare(f"room{number}")
    known = list(subscriptions.all_positions())
    assert "open" in known
    assert "room8" in known
    assert "room0" not in known
