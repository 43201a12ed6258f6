"""Which events are applied, with stand-ins for what they are applied to."""

from typing import cast
from unittest.mock import Mock, call

import pytest

from hubbub.server.cluster.claims import Claims
from hubbub.server.cluster.events import EventHandler
from hubbub.server.cluster.facts import SharedFacts
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.cluster.remote_members import RemoteMembers
from hubbub.server.cluster.shared_session import SharedSession, to_json
from hubbub.server.rooms.room import SessionState
from testing.server import captured_log
from tests.cluster.fakes import FakeRedisClient

TOKEN = "aa" * 16
WHO = to_json(SessionState(bytes.fromhex(TOKEN), "bob", "red", why="exit")).encode()
SESSION = SharedSession.parse(TOKEN, WHO)


class Events:
    """An event handler, and what it calls."""

    def __init__(self) -> None:
        self.claims = Mock(spec=Claims)
        self.remote_members = Mock(spec=RemoteMembers)
        self.facts = Mock(spec=SharedFacts)
        self.claims.is_outdated.return_value = False
        self.remote_members.is_local.return_value = False
        client = cast(RedisClient, FakeRedisClient())
        self.handler = EventHandler(client, self.claims, self.remote_members, self.facts, "0-0")

    def handle(self, **fields: str | bytes) -> None:
        encoded = {name.encode(): value.encode() if isinstance(value, str) else value for name, value in fields.items()}
        self.handler.handle([("1-0", encoded)])

    def calls(self) -> list[object]:
        """Return the changes of members."""
        return [made for made in self.remote_members.method_calls if made[0] != "is_local"]


@pytest.fixture
def events() -> Events:
    return Events()


def test_member_of_another_server(events: Events) -> None:
    """They are shown as that server has them."""
    events.handle(by="there", token=TOKEN, home="there", who=WHO)
    assert events.calls() == [call.update(SESSION, "there")]
    assert events.handler.position == "1-0"
    events.claims.note_read.assert_called_with("1-0")


def test_member_who_has_left(events: Events) -> None:
    """With the stored reason; a session without one is lost."""
    events.handle(by="there", token=TOKEN, home="", who=WHO)
    events.handle(by="there", token=TOKEN, home="", who="")
    assert events.calls() == [call.remove(bytes.fromhex(TOKEN), why) for why in ("exit", "lost")]


def test_member_of_a_dead_server(events: Events) -> None:
    """The adopting server holds the place; the others show that."""
    events.handle(by="here", token=TOKEN, home="here", who=WHO, held="1")
    events.handle(by="there", token=TOKEN, home="there", who=WHO, held="1")
    assert events.calls() == [call.adopt(SESSION), call.update(SESSION, "there")]


def test_member_here_whom_another_server_adopted(events: Events) -> None:
    """They are claimed again, not given away."""
    events.remote_members.is_local.return_value = True
    events.handle(by="there", token=TOKEN, home="there", who=WHO, held="1")
    assert events.calls() == []


def test_own_and_outdated_events_change_nothing(events: Events) -> None:
    """The directory is newer."""
    events.handle(by="here", token=TOKEN, home="here", who=WHO)
    events.claims.is_outdated.return_value = True
    events.handle(by="there", token=TOKEN, home="there", who=WHO)
    events.handle(by="here", room="ops", text="bob was kicked")
    assert events.calls() == []


def test_facts_and_notices(events: Events) -> None:
    """They are passed on."""
    events.handle(by="there", kind="mute", key="bob", fact="{}")
    events.handle(by="here", kind="mute", key="bob")
    events.handle(by="there", room="ops", text="bob was kicked")
    assert events.facts.method_calls == [
        call.apply("mute", "bob", "{}", is_own=False),
        call.apply("mute", "bob", None, is_own=True),
    ]
    assert events.calls() == [call.show_notice("ops", "bob was kicked")]


def test_bad_event_is_left_out(events: Events) -> None:
    """It is logged, and the next one applied."""
    with captured_log() as log:
        events.handle(by="there", token=TOKEN[1:], home="there", who=WHO)
        events.handle(by="there", room="ops", text="bob was kicked")
    assert any("is skipped" in line for line in log)
    assert events.calls() == [call.show_notice("ops", "bob was kicked")]
