"""The order in which entries of several streams are handled."""

from unittest.mock import Mock

from hubbub.server.cluster.follower import StreamFollower
from hubbub.server.cluster.redis_client import Entries

LINES: Entries = [("0-1", {b"time": b"1000"}), ("0-2", {b"time": b"1005"})]
EVENTS: Entries = [("1002-0", {}), ("1005-0", {})]
INBOX: Entries = [("1001-0", {})]


def make_follower() -> StreamFollower:
    client = Mock()
    client.key.side_effect = str
    parts = {name: Mock() for name in ("reader", "subscriptions", "recovery", "remote_members", "delivery")}
    return StreamFollower(client, events=Mock(stream="news"), inbox=Mock(stream="inbox"), **parts)


def test_entries_are_in_the_order_of_their_times() -> None:
    """A last line comes before the leave that one script added with it."""
    found = {"room:ops": LINES, "news": EVENTS, "inbox": INBOX}
    assert list(make_follower()._in_order(found)) == [
        ("room:ops", LINES[:1]),
        ("inbox", INBOX),
        ("news", EVENTS[:1]),
        ("room:ops", LINES[1:]),
        ("news", EVENTS[1:]),
    ]


def test_lines_without_events_stay_together() -> None:
    """They are handled in one go."""
    found = {"room:ops": LINES, "inbox": INBOX}
    assert list(make_follower()._in_order(found)) == [("room:ops", LINES), ("inbox", INBOX)]


def test_entry_with_a_bad_time_comes_first() -> None:
    """It does not end the thread; its handler logs it and skips it."""
    bad: Entries = [("0-3", {b"time": b"noon"})]
    found = {"news": EVENTS, "room:ops": bad}
    assert list(make_follower()._in_order(found)) == [("room:ops", bad), ("news", EVENTS)]


def test_lines_are_published_before_they_count_as_read() -> None:
    """A member who waits for them joins after them, also if one of them is bad."""
    follower = make_follower()
    follower._handle("room:ops", [("0-2", {b"bad": b"entry"})])
    follower._subscriptions.note_read.assert_called_once_with("ops", 2)  # type: ignore[attr-defined]
