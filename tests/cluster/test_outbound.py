"""Requests to other servers, with a stand-in for Redis."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from hubbub.server.cluster import outbound as module, scripts
from hubbub.server.cluster.outbound import GONE, UNANSWERED, Outbound
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.delivery.actions import DeliverPrivately
from hubbub.server.delivery.transport import NullTransport
from hubbub.server.rooms.room import Member, SessionState
from testing.waiting import eventually
from tests.cluster.fakes import FakeRedisClient


def make_member(name: str) -> Member:
    return Member(NullTransport(), name, state=SessionState(name.encode()))


MESSAGE = DeliverPrivately(make_member("alice"), make_member("bob"), b"psst", b"refused")


@contextmanager
def sending(client: FakeRedisClient, replies: list[tuple[bytes, bytes]]) -> Iterator[Outbound]:
    """Run the thread; at the end all is sent."""
    outbound = Outbound(cast(RedisClient, client), lambda *reply: replies.append(reply))
    outbound.start()
    try:
        yield outbound
    finally:
        outbound.stop()


def test_answer_goes_to_the_sender_once() -> None:
    """With the number of the private message."""
    client, replies = FakeRedisClient(**{scripts.SEND: 1}), list[tuple[bytes, bytes]]()
    with sending(client, replies) as outbound:
        outbound.send_private(MESSAGE, "there")
        assert eventually(lambda: bool(client.calls))
        _, (server, *fields) = client.calls[0]
        assert server == "there"
        number = int(fields[fields.index("number") + 1])
        outbound.finish_private(number, b"copy")
        outbound.finish_private(number, b"copy")
    assert replies == [(b"alice", b"copy")]


@pytest.mark.parametrize("away", [False, True])
def test_server_of_the_recipient_is_gone(away: bool) -> None:
    """Or Redis is away: the sender is told."""
    client, replies = FakeRedisClient(**{scripts.SEND: 0}), list[tuple[bytes, bytes]]()
    client.away = away
    with sending(client, replies) as outbound:
        outbound.send_private(MESSAGE, "there")
    assert replies == [(b"alice", GONE)]


def test_server_of_the_recipient_does_not_answer() -> None:
    """The sender is told, after the wait and once."""
    client, replies = FakeRedisClient(**{scripts.SEND: 1}), list[tuple[bytes, bytes]]()
    with sending(client, replies) as outbound:
        outbound.send_private(MESSAGE, "there")
    outbound.end_waiting(0.0)
    assert replies == []
    outbound.end_waiting(time.monotonic())
    outbound.end_waiting(time.monotonic())
    assert replies == [(b"alice", UNANSWERED)]


def test_number_of_waiting_messages_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender of one more waits, and is told that it was not sent."""
    monkeypatch.setattr(module, "PRIVATE_WAITING", 1)
    monkeypatch.setattr(module, "PRIVATE_SECONDS", 0.01)
    replies = list[tuple[bytes, bytes]]()
    outbound = Outbound(cast(RedisClient, FakeRedisClient()), lambda *reply: replies.append(reply))  # not started
    outbound.send_private(MESSAGE, "there")
    outbound.send_private(MESSAGE, "there")
    assert replies == [(b"alice", GONE)]


def test_failed_work_does_not_end_the_thread() -> None:
    """Whatever it raises."""
    client = FakeRedisClient()
    done = list[int]()
    with sending(client, []) as outbound:
        outbound.run(lambda: 1 / 0)
        client.away = True
        outbound.send("there", "do", "look")
        outbound.run(lambda: done.append(1))
    assert done == [1]
