"""The action queue: backpressure on sessions."""

import threading

import pytest

from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.rooms.room import Room
from testing.delivery import ROOM, local_delivery, post
from testing.waiting import TIMEOUT_SECONDS


def test_all_rooms_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A post in another room waits as well, until the pending lines are taken."""
    monkeypatch.setattr("hubbub.server.delivery.action_queue.PENDING_LINES_OF_ALL", 10)
    delivery = local_delivery(MemoryJournal())
    delivery.submit_posts([post(ROOM, str(number)) for number in range(10)])
    waiting = threading.Thread(target=delivery.submit_posts, args=([post(Room("new", "new"), "late")],))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    delivery.start()
    waiting.join(TIMEOUT_SECONDS)
    assert not waiting.is_alive()
    delivery.stop(1.0)
