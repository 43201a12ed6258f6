"""The slow-consumer policy: what drops a subscriber."""

import pytest

from hubbub.server.delivery import slow_consumers
from hubbub.server.delivery.actions import (
    CloseSubscriber,
    Reply,
    Subscribe,
    Unsubscribe,
)
from hubbub.server.delivery.slow_consumers import BACKLOG_ROOMS, OUTBOX_BYTES
from hubbub.server.rooms.room import Room
from testing.delivery import LINES, ROOM, SlowReader, long_posts, running_delivery
from testing.waiting import eventually


def test_changing_rooms_without_reading_drops_a_subscriber(reader: SlowReader) -> None:
    """The lines that wait for one subscriber hold the tails of BACKLOG_ROOMS rooms at most."""
    with running_delivery() as delivery:
        for number in range(BACKLOG_ROOMS + 3):
            room = Room(f"r{number}", f"r{number}")
            delivery.submit(Subscribe(reader.member, room, 1))
            delivery.submit_posts(long_posts(room, 100))
            delivery.submit(Unsubscribe(reader.member))
        assert eventually(lambda: reader.member.transport.broken)


def test_progress_does_not_extend_the_time_for_closing(reader: SlowReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads a little now and then is closed when CLOSING_SECONDS are over."""
    monkeypatch.setattr(slow_consumers, "CLOSING_SECONDS", 0.3)
    monkeypatch.setattr(slow_consumers, "CHECK_SECONDS", 0.05)
    with running_delivery() as delivery:
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        delivery.submit_posts(long_posts(ROOM, LINES))
        delivery.submit(Unsubscribe(reader.member), CloseSubscriber(reader.member))

        def closed_while_reading() -> bool:
            reader.far.recv(300)
            return reader.member.subscriber.closed

        assert eventually(closed_while_reading)


def test_too_many_unread_replies_drop_a_subscriber(reader: SlowReader) -> None:
    """Past OUTBOX_BYTES the subscriber is dropped, and the thread of its session is woken."""
    with running_delivery() as delivery:
        for _ in range(OUTBOX_BYTES // 65_536 + 10):
            delivery.submit(Reply(reader.member, b"x" * 65_535 + b"\n"))
        assert eventually(lambda: reader.member.transport.broken)
        assert reader.near.recv(1) == b""
