"""Notifications as JSON: the fields of an object, which events have one, and that it is always one clean line."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from hubbub.client.output import json_lines
from hubbub.client.output.json_lines import to_json
from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import (
    EVENTS,
    LAYOUTS,
    Acted,
    Bye,
    Entered,
    Error,
    Event,
    Gap,
    Joined,
    Left,
    MemberRow,
    Notice,
    OwnerRow,
    PrivateMessage,
    Renamed,
    RoomRow,
    Said,
    clean,
)

NOON = 1_763_812_800_000  # 2025-11-22 12:00 UTC
SHOWN: list[tuple[Event, dict[str, Any]]] = [
    (
        Said("lobby", 7, NOON, "bob", "red", "hi  there"),
        {
            "event": "say",
            "room": "lobby",
            "seq": 7,
            "time": NOON,
            "name": "bob",
            "color": "red",
            "text": "hi  there",
            "age": "live",
        },
    ),
    (
        PrivateMessage(NOON, "bob", "red", "alice", "psst"),
        {"event": "msg", "time": NOON, "name": "bob", "color": "red", "to": "alice", "text": "psst", "age": "live"},
    ),
    (
        Renamed("lobby", NOON, "bob", "red", "rob"),
        {"event": "renamed", "room": "lobby", "time": NOON, "old": "bob", "color": "red", "new": "rob", "age": "live"},
    ),
    (
        Entered("ops", 9, 2, "locked"),
        {"event": "entered", "room": "ops", "seq": 9, "people": 2, "flags": "locked", "age": "live"},
    ),
    (OwnerRow("bob"), {"event": "proven", "name": "bob", "age": "live"}),
    (Gap("ops", 5, 9), {"event": "gap", "room": "ops", "first": 5, "last": 9, "age": "live"}),
    (Notice("text"), {"event": "notice", "text": "text", "age": "live"}),
    (Error("too-fast", "slow down"), {"event": "error", "code": "too-fast", "text": "slow down", "age": "live"}),
    (Bye("see you"), {"event": "bye", "text": "see you", "age": "live"}),
]
SHOWN_EVENTS: list[type[Event]] = [
    Said,
    Acted,
    PrivateMessage,
    Joined,
    Left,
    Renamed,
    RoomRow,
    MemberRow,
    OwnerRow,
    Entered,
    Gap,
    Notice,
    Error,
    Bye,
]
# Line ends of all kinds, and characters that control a terminal.
UNSAFE = "a\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x1b[31m\x07\u202eb"


def example(kind: type[Event], text: str = "text") -> Event:
    """Return an event of a kind, with `text` in each field that takes one."""
    return kind(*(1 if type_ is int else text for type_ in LAYOUTS[kind].types))


def parse(notification: Notification) -> dict[str, Any]:
    """Return the object for a notification."""
    line = to_json(notification)
    assert line is not None
    value: dict[str, Any] = json.loads(line)
    return value


@pytest.mark.parametrize(("event", "expected"), SHOWN)
def test_object_of_an_event(event: Event, expected: dict[str, Any]) -> None:
    """It has the word on the wire, the fields in their order, and the age."""
    value = parse(Notification(event))
    assert list(value.items()) == list(expected.items())


@pytest.mark.parametrize("kind", EVENTS.values())
def test_which_events_have_an_object(kind: type[Event]) -> None:
    """All events that users see, and no others."""
    assert (to_json(Notification(example(kind))) is not None) == (kind in SHOWN_EVENTS)


@pytest.mark.parametrize("kind", SHOWN_EVENTS)
def test_documented_fields(kind: type[Event]) -> None:
    """The table in the docstring has each event with exactly its fields."""
    rows = [line.split() for line in (json_lines.__doc__ or "").splitlines()]
    word, *names = LAYOUTS[kind].word, *(field.name for field in dataclasses.fields(kind))  # type: ignore[arg-type]
    assert any(names == row[-len(names) :] and word in [part.strip(",") for part in row[: -len(names)]] for row in rows)


def test_no_field_hides_another() -> None:
    """No event has a field with the name of an added one."""
    assert all({"event", "age", "mention"}.isdisjoint(LAYOUTS[kind].names) for kind in SHOWN_EVENTS)


@pytest.mark.parametrize("age", Age)
def test_age(age: Age) -> None:
    """The three ages have their names."""
    assert parse(Notification(Notice("text"), age=age))["age"] == age.value


def test_only_a_mention_has_the_field() -> None:
    """Other objects do not have it."""
    said = Said("lobby", 7, NOON, "bob", "red", "hi alice")
    assert parse(Notification(said, "alice", mention=True))["mention"] is True
    assert "mention" not in parse(Notification(said, "alice"))


def test_text_is_not_escaped() -> None:
    """So grep finds letters of any script."""
    line = to_json(Notification(Notice("日本 – žluť 🎉")))
    assert line is not None
    assert "日本 – žluť 🎉" in line


@given(st.sampled_from(SHOWN_EVENTS), st.text())
def test_object_is_one_clean_line(kind: type[Event], text: str) -> None:
    """Whatever the server sends, it has no line end and no control character."""
    line = to_json(Notification(example(kind, UNSAFE + text)))
    assert line is not None
    assert line.splitlines() == [line]
    assert line == clean(line)
    assert clean(UNSAFE + text) in json.loads(line).values()
