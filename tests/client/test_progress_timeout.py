"""Waiting for a server that makes progress, or none."""

import threading

import pytest

from hubbub.client.progress_timeout import NotSentError
from hubbub.client.state import chat_state
from hubbub.client.state.outbox import Outbox
from testing.fake_server import WAIT_SECONDS
from tests.client.session_driver import signed_in


def test_slow_reader_does_not_count_as_silence() -> None:
    """As when a pager reads the output."""
    with signed_in(interactive=False, timeout=0.3) as (session, peer, ui):
        waiter = threading.Thread(target=session.wait_until_delivered)
        waiter.start()
        token = peer.receive().removeprefix("/ping ")
        ui.may_show.clear()
        ui.showing.clear()
        peer.send("/notice a long text", f"/pong {token}")
        assert ui.showing.wait(WAIT_SECONDS)
        waiter.join(0.6)
        assert waiter.is_alive()
        ui.may_show.set()
        waiter.join(WAIT_SECONDS)
        assert not waiter.is_alive()
        assert not session.reason


def test_wait_goes_on_while_the_server_makes_progress() -> None:
    """However long everything takes together."""
    with signed_in(interactive=False, timeout=0.3) as (session, peer, _):
        for number in range(6):
            session.input.handle_line_and_wait(f"line {number}")
        waiter = threading.Thread(target=session.wait_until_delivered)
        waiter.start()
        for number in range(1, 7):
            waiter.join(0.1)
            peer.send(f"/ack {number}")
        peer.send("/pong 1")
        waiter.join(WAIT_SECONDS)
        assert not waiter.is_alive()
        assert session.unsent == []


def test_wait_ends_without_progress() -> None:
    """The unsent lines are known."""
    with signed_in(interactive=False, timeout=0.1) as (session, peer, _):
        session.input.handle_line_and_wait("one")
        session.input.handle_line_and_wait("two")
        peer.send("/ack 1")
        with pytest.raises(NotSentError, match=r"the server accepted nothing for 0\.1 s; everything was read"):
            session.wait_until_delivered()
        assert session.unsent == ["two"]


def test_pipe_waits_for_a_full_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that was read is stored."""
    monkeypatch.setattr(chat_state, "Outbox", lambda: Outbox(lines=2))
    with signed_in(interactive=False, timeout=0.1) as (session, peer, _):
        session.input.handle_line_and_wait("one")
        with pytest.raises(NotSentError, match="the rest of the input was not read"):
            session.input.handle_line_and_wait("two")
        assert session.unsent == ["one", "two"]
        peer.acknowledge("1 one")
        peer.acknowledge("2 two")
