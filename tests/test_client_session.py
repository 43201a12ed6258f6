"""A session between a console that a test plays and a server that it plays too."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from client import session as session_module
from client.connection import connect
from client.console import StoppedError
from client.session import Session, SignInError, choose_color
from protocol import ProtocolError
from tests.fake_server import WAIT_SECONDS, FakePeer, FakeServer


class FakeConsole:
    """Nobody who could be asked; what is shown can be held up."""

    asks = False

    def __init__(self) -> None:
        self.shown: queue.Queue[str] = queue.Queue()
        self.showing = threading.Event()
        self.may_show = threading.Event()
        self.may_show.set()
        self.stopped = threading.Event()

    def ask(self, question: str) -> str:
        """Fail: nobody is there."""
        raise AssertionError(question)

    def read_lines(self, on_line: Callable[[str], bool]) -> None:
        """Have no lines."""

    def enter(self, room: str) -> None:
        """Have no prompt."""

    def show(self, line: str, *, aside: bool = False) -> None:
        """Keep the line, once that is allowed."""
        self.showing.set()
        self.may_show.wait(WAIT_SECONDS)
        self.shown.put(line)

    def stop(self) -> None:
        """Note it."""
        self.stopped.set()

    def close(self) -> None:
        """Have nothing to show."""


@contextmanager
def visiting() -> Iterator[tuple[Session, FakePeer, FakeConsole]]:
    """Connect a session to a server that the test plays."""
    console = FakeConsole()
    with FakeServer() as server:
        session = Session(connect("127.0.0.1", server.port), console, colored=False)
        peer = server.accept()
        session.connection.start()
        try:
            yield session, peer, console
        finally:
            peer.close()
            session.close()


def test_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else may listen there."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.2)
    with visiting() as (session, _, _):
        with pytest.raises(StoppedError):
            session.sign_in("alice", "red")
        assert session.reason.startswith("the server did not answer within")


def test_server_that_speaks_another_language_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are no events."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.2)
    with visiting() as (session, peer, _):
        peer.send("SSH-2.0-OpenSSH_9.2")
        with pytest.raises(StoppedError):
            session.sign_in("alice", "red")


def test_other_version_of_the_protocol_is_refused() -> None:
    """Both versions are told."""
    with visiting() as (session, peer, _):
        peer.send("/hello 2 -")
        with pytest.raises(SignInError, match="the server speaks version 2 of the protocol, and this client 1"):
            session.sign_in("alice", "red")


@pytest.mark.parametrize("greeting", [[], ["/hello 1 -"]])
def test_server_that_lets_nobody_in_is_understood(greeting: list[str]) -> None:
    """Its reason is what the person gets, whether it greets first or not."""
    with visiting() as (session, peer, _):
        peer.send(*greeting, "/error server-full 10 people are here; try again later")
        with pytest.raises(SignInError, match="10 people are here; try again later"):
            session.sign_in("alice", "red")


def test_delivery_is_waited_for_while_something_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy room may keep the answer waiting for longer than a silent server could."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.5)
    with visiting() as (session, peer, console):
        waiter = threading.Thread(target=session.wait_until_delivered)
        waiter.start()
        token = peer.receive().removeprefix("/ping ")
        for number in range(8):
            peer.send(f"/notice {number}")
            assert console.shown.get(timeout=WAIT_SECONDS) == f"--- {number}"
            waiter.join(0.1)
        assert waiter.is_alive()
        peer.send(f"/pong {token}")
        waiter.join(WAIT_SECONDS)
        assert not waiter.is_alive()
        assert not session.reason


def test_slow_reader_of_ours_is_no_silence_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when what is shown goes into a pager."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.2)
    with visiting() as (session, peer, console):
        waiter = threading.Thread(target=session.wait_until_delivered)
        waiter.start()
        token = peer.receive().removeprefix("/ping ")
        console.may_show.clear()
        peer.send("/notice a long text", f"/pong {token}")
        assert console.showing.wait(WAIT_SECONDS)
        waiter.join(0.6)
        assert waiter.is_alive()
        console.may_show.set()
        waiter.join(WAIT_SECONDS)
        assert not waiter.is_alive()
        assert not session.reason


def test_blank_line_does_nothing() -> None:
    """Neither does one of spaces."""
    with visiting() as (session, peer, _):
        assert session.take_line("")
        assert session.take_line("  \t")
        assert session.take_line("text")
        assert peer.receive() == "text"


def test_typed_text_is_cleaned() -> None:
    """What a paste brought along does not leave this machine."""
    with visiting() as (session, peer, _):
        session.take_line("a\x1b[31m\u202eb")
        assert peer.receive() == "a[31mb"


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("1", "black"), ("12", "purple"), (" 04 ", "red"), ("red", "red"), ("Light  Blue", "light-blue")],
)
def test_color_by_name_or_number(text: str, chosen: str) -> None:
    """As the chart shows them, counted from 1."""
    assert choose_color(text) == chosen


@pytest.mark.parametrize("text", ["0", "00", "13", "-1", "²", "mauve", ""])
def test_no_color(text: str) -> None:
    """What is neither is refused with those that there are."""
    with pytest.raises(ProtocolError, match="choose a colour of black"):
        choose_color(text)
