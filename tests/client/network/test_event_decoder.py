"""The server's bytes become events."""

import pytest

from hubbub.client.network.event_decoder import EventDecoder
from hubbub.protocol import LINE_BYTES, LineTooLongError, Notice
from testing.server import captured_log


def test_events_come_out_when_their_line_is_complete() -> None:
    """However the bytes are cut."""
    decoder = EventDecoder()
    assert list(decoder.feed(b"/notice one\n/noti")) == [Notice("one")]
    assert list(decoder.feed(b"ce two\n")) == [Notice("two")]


def test_unfinished_line_ends_with_its_connection() -> None:
    """The next connection starts with a line of its own."""
    decoder = EventDecoder()
    assert list(decoder.feed(b"/notice unfini")) == []
    decoder.reset()
    assert list(decoder.feed(b"/notice one\n")) == [Notice("one")]


def test_bad_lines_are_dropped_and_each_kind_logged_once() -> None:
    """The log has no text of theirs."""
    with captured_log() as lines:
        decoder = EventDecoder()
        assert list(decoder.feed(b"/secret\n/secret 2\n/hello secret\n/notice one\n")) == [Notice("one")]
        decoder.reset()
        assert list(decoder.feed(b"/secret\n")) == []
    text = "".join(lines)
    assert (text.count("unknown-event"), text.count("malformed"), text.count("secret")) == (1, 1, 0)


def test_events_before_a_line_too_long_come_out() -> None:
    """Then the error is raised."""
    events = EventDecoder().feed(b"/notice one\n" + b"x" * (LINE_BYTES + 1))
    assert next(events) == Notice("one")
    with pytest.raises(LineTooLongError):
        next(events)
