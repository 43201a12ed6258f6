"""The fan-out: identical bytes for every live subscriber, one send for each, and lines that gather."""

import time

import pytest

from hubbub.protocol import Acted, Notice, Said
from hubbub.server.delivery import fanout
from hubbub.server.delivery.actions import (
    Broadcast,
    Post,
    Reply,
    Subscribe,
    Unsubscribe,
)
from testing.delivery import ROOM, new_member, post, running_delivery
from testing.waiting import eventually


def test_all_subscribers_get_identical_bytes_in_identical_order() -> None:
    """Two members see the same lines, numbered 1, 2, 3, the sender's own among them."""
    with running_delivery() as delivery:
        (first, seen), (second, also_seen) = new_member(), new_member()
        delivery.submit(Subscribe(first, ROOM, 1), Subscribe(second, ROOM, 2))
        delivery.submit_posts([post(ROOM, "a"), Post(ROOM, Acted, "bob", "red", ["b"]), post(ROOM, "c")])
        delivery.flush(first)
        assert seen.lines[1:] == ["/say ops 1 1000 bob red a", "/me ops 2 1000 bob red b", "/say ops 3 1000 bob red c"]
        assert seen.lines[1:] == also_seen.lines[1:]


def test_lines_that_gather_go_with_one_send() -> None:
    """A batch costs each subscriber one send."""
    with running_delivery() as delivery:
        member, transport = new_member()
        delivery.submit(Subscribe(member, ROOM, 1))
        delivery.flush(member)
        transport.sent.clear()
        delivery.submit_posts([post(ROOM, str(number)) for number in range(100)])
        delivery.flush(member)
        assert (len(transport.sent), len(transport.lines)) == (1, 100)


def test_subscribing_splits_no_other_subscribers_batch() -> None:
    """Replies come in their place among the lines; all other subscribers get the lines with one send."""
    with running_delivery() as delivery:
        (stays, seen), (goes, last), (comes, first) = new_member(), new_member(), new_member()
        delivery.submit(Subscribe(stays, ROOM, 1), Subscribe(goes, ROOM, 2))
        delivery.flush(goes)
        before = len(seen.sent)
        delivery.submit(
            Broadcast(ROOM, Notice("1")),
            Reply(goes, b"/pong\n"),
            Broadcast(ROOM, Notice("2")),
            Unsubscribe(goes),
            Subscribe(comes, ROOM, 2),
            Broadcast(ROOM, Notice("3")),
            Reply(comes, b"/pong\n"),
            Broadcast(ROOM, Notice("4")),
        )
        delivery.flush(comes)
        delivery.flush(stays)
        assert [line for sent in seen.sent[before:] for line in sent.split(b"\n")[:-1]] == [
            b"/notice 1",
            b"/notice 2",
            b"/notice 3",
            b"/notice 4",
        ]
        assert len(seen.sent) == before + 1
        assert last.lines[-3:] == ["/notice 1", "/pong", "/notice 2"]
        assert first.lines[-3:] == ["/notice 3", "/pong", "/notice 4"]
        delivery.submit(Broadcast(ROOM, Notice("5")))
        for member in (stays, comes):
            delivery.flush(member)
        assert [seen.lines[-1], first.lines[-1], last.lines[-1]] == ["/notice 5", "/notice 5", "/notice 2"]


def test_lines_soon_after_a_flush_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line goes out at once; those that follow soon go together, a little later."""
    monkeypatch.setattr(fanout, "GATHER_SECONDS", 0.2)
    with running_delivery() as delivery:
        member, transport = new_member()
        delivery.submit(Subscribe(member, ROOM, 1))
        delivery.flush(member)
        for text in "abcd":
            delivery.submit_posts([post(ROOM, text)])
            assert eventually(lambda: len(transport.sent) > 1)
        assert eventually(lambda: len(transport.lines) == 5)
        assert [line.split()[-1] for line in transport.lines[1:]] == ["a", "b", "c", "d"]
        assert len(transport.sent) == 3


def test_gathering_ends_with_enough_bytes_or_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough bytes go at once, and a stop sends what there is."""
    monkeypatch.setattr(fanout, "GATHER_SECONDS", 0.5)
    with running_delivery() as delivery:
        member, transport = new_member()
        delivery.submit(Subscribe(member, ROOM, 1), post(ROOM, "first"))
        assert eventually(lambda: len(transport.lines) == 2)
        start = time.monotonic()
        delivery.submit_posts([Post(ROOM, Said, "bob", "red", ["x" * 1_000] * 70)])
        assert eventually(lambda: len(transport.lines) == 72)
        assert time.monotonic() - start < 0.4
        delivery.submit_posts([post(ROOM, "last")])
        delivery.stop(5.0)
        assert transport.lines[-1].endswith("last")
