"""Requests of other servers, with stand-ins for Redis and the delivery."""

from typing import cast
from unittest.mock import Mock, call

import pytest

from hubbub.server.cluster.inbox import Inbox
from hubbub.server.cluster.outbound import Outbound
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.cluster.remote_members import RemoteMember, RemoteMembers
from hubbub.server.delivery.actions import DeliverPrivately
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.delivery.transport import NullTransport
from hubbub.server.rooms.room import Member
from tests.cluster.fakes import FakeDelivery, FakeRedisClient

PRIVATE = {b"do": b"tell", b"back": b"there", b"number": b"7", b"to": b"aa", b"data": b"psst", b"refusal": b"no"}


class Requests:
    """An inbox of a server with one member, and what it does."""

    def __init__(self, member: Member | None) -> None:
        self.client, self.delivery = FakeRedisClient(), FakeDelivery()
        self.outbound, remote_members = Mock(spec=Outbound), Mock(spec=RemoteMembers)
        self.outbound.run.side_effect = lambda work: work()
        remote_members.find.return_value = member
        self.expelled: list[tuple[Member, str]] = []
        self.inbox = Inbox(
            cast(RedisClient, self.client),
            self.outbound,
            remote_members,
            cast(Delivery, self.delivery),
            lambda *expelled: self.expelled.append(expelled),
        )

    def handle(self, fields: dict[bytes, bytes]) -> None:
        self.inbox.handle([("1-0", fields)])


def test_private_message_is_delivered_and_answered() -> None:
    """With what the delivery thread has for the sender."""
    requests = Requests(member := Member(NullTransport(), "bob"))
    requests.handle(PRIVATE)
    (action,) = requests.delivery.actions
    assert isinstance(action, DeliverPrivately)
    assert (action.recipient, action.data) == (member, b"psst")
    assert action.send_result is not None
    action.send_result(b"copy")
    assert requests.outbound.send.mock_calls == [call("there", "do", "answer", "number", b"7", "data", b"copy")]


@pytest.mark.parametrize(
    "member", [None, RemoteMember(NullTransport(), home="third"), Member(NullTransport(), absent=True)]
)
def test_private_message_that_cannot_be_delivered(member: Member | None) -> None:
    """The recipient is not connected here: the sender gets the refusal."""
    requests = Requests(member)
    requests.handle(PRIVATE)
    assert requests.delivery.actions == []
    assert requests.outbound.send.mock_calls == [call("there", "do", "answer", "number", b"7", "data", b"no")]


def test_answer_is_given_to_the_sender() -> None:
    """By its number."""
    requests = Requests(None)
    requests.handle({b"do": b"answer", b"number": b"7", b"data": b"copy"})
    assert requests.outbound.finish_private.mock_calls == [call(7, b"copy")]


def test_expulsion() -> None:
    """Of a member of this server alone."""
    for member in (Member(NullTransport()), RemoteMember(NullTransport()), None):
        requests = Requests(member)
        requests.handle({b"do": b"expel", b"token": b"aa", b"deed": b"kicked by op"})
        expected = [(member, "kicked by op")] if type(member) is Member else []
        assert requests.expelled == expected


def test_requests_are_deleted() -> None:
    """Also those that could not be carried out: no private message stays in Redis."""
    requests = Requests(None)
    requests.handle({b"do": b"answer"})
    assert requests.client.calls == [("XDEL", ("inbox:here", "1-0"))]
    assert requests.inbox.position == "1-0"
