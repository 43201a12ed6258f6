"""The client's connection on a real loopback socket: what goes in, what comes out, and how it ends."""

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from loguru import logger

from client import connection
from client.connection import Connection, connect
from protocol import LINE_BYTES, Event, Exit, Hello, Me, Notice, Pong, Say, Welcome
from tests.fake_server import WAIT_SECONDS, FakePeer, FakeServer


class Client:
    """A connection whose events and reasons are kept for the test."""

    def __init__(self, sock: socket.socket) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.reasons: queue.Queue[str] = queue.Queue()
        self.connection = Connection(sock, self.events.put, self.reasons.put)

    def event(self) -> Event:
        """Return the next event."""
        return self.events.get(timeout=WAIT_SECONDS)

    def reason(self) -> str:
        """Return why the connection ended."""
        return self.reasons.get(timeout=WAIT_SECONDS)


@contextmanager
def connected() -> Iterator[tuple[Client, FakePeer]]:
    """Connect a client to a server that the test plays, and see that no thread is left."""
    before = threading.active_count()
    with FakeServer() as server:
        client = Client(connect("127.0.0.1", server.port))
        peer = server.accept()
        with client.connection:
            yield client, peer
            peer.close()
    assert threading.active_count() == before


def wait_until_ended(client: Client) -> None:
    """Wait for the end, whatever its reason."""
    assert client.reason()


# ----------------------------------------------------------------------------------------------------------- commands


def test_commands_are_sent_in_order() -> None:
    """Each as one line of the protocol."""
    with connected() as (client, peer):
        for command in (Say("one"), Me("waves"), Say("/two")):
            client.connection.send(command)
        assert [peer.receive() for _ in range(3)] == ["one", "/me waves", "//two"]


def test_commands_of_many_threads_stay_whole() -> None:
    """No line is cut by another, and each thread's lines keep their order."""
    with connected() as (client, peer):

        def send(name: str) -> None:
            for number in range(200):
                client.connection.send(Say(f"{name} {number}"))

        threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        lines = [peer.receive() for _ in range(800)]
        for thread in threads:
            thread.join(WAIT_SECONDS)
        for name in "abcd":
            assert [line for line in lines if line.startswith(name)] == [f"{name} {number}" for number in range(200)]


def test_send_never_waits_for_a_server_that_does_not_read() -> None:
    """Megabytes are queued at once; `wait_for_space` then waits until they went."""
    with connected() as (client, peer):
        started = time.monotonic()
        for _ in range(1_000):
            client.connection.send(Say("x" * 16_000))
        assert time.monotonic() - started < 2
        waiter = threading.Thread(target=client.connection.wait_for_space)
        waiter.start()
        assert all(peer.receive() == "x" * 16_000 for _ in range(1_000))
        waiter.join(WAIT_SECONDS)
        assert not waiter.is_alive()


def test_server_that_takes_nothing_any_more_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for it is bounded, and so is that of whoever waits for space."""
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.2)
    with connected() as (client, _):
        for _ in range(1_000):
            client.connection.send(Say("x" * 16_000))
        client.connection.wait_for_space()
        assert client.reason() == connection.SERVER_STALLED


def test_slow_callback_is_no_fault_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """While we take an event, nothing can be sent; that does not count."""
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.1)
    busy, may_go_on = threading.Event(), threading.Event()

    def take(event: Event) -> None:
        busy.set()
        may_go_on.wait(WAIT_SECONDS)

    reasons: queue.Queue[str] = queue.Queue()
    with FakeServer() as server, Connection(connect("127.0.0.1", server.port), take, reasons.put) as ours:
        peer = server.accept()
        peer.send("/notice text")
        assert busy.wait(WAIT_SECONDS)
        ours.send(Say("still here"))
        assert not may_go_on.wait(0.3)
        may_go_on.set()
        assert peer.receive() == "still here"
        assert reasons.empty()
        peer.close()


def test_send_after_the_end_does_nothing() -> None:
    """The keyboard may be quicker than the news."""
    with connected() as (client, peer):
        peer.close()
        wait_until_ended(client)
        client.connection.send(Say("too late"))
        client.connection.wait_for_space()


# ------------------------------------------------------------------------------------------------------------- events


def test_events_come_in_order_however_they_are_cut() -> None:
    """Byte by byte, or all in one go."""
    lines = "/hello 1 -\r\n/welcome é red token 0\n/notice a b\n".encode()
    with connected() as (client, peer):
        for position in range(len(lines)):
            peer.send(lines[position : position + 1])
        peer.send(lines)
        expected = [Hello(1, "-"), Welcome("é", "red", "token", 0), Notice("a b")]
        assert [client.event() for _ in range(6)] == expected * 2


def test_ping_is_answered_and_not_handed_on() -> None:
    """The next event is the next line."""
    with connected() as (client, peer):
        peer.send("/ping abc", "/pong def")
        assert peer.receive() == "/pong abc"
        assert client.event() == Pong("def")


def test_pings_of_a_server_that_never_reads_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit they are left unanswered."""
    monkeypatch.setattr(connection, "OUTGOING_BYTES", 10)
    with connected() as (client, peer):
        client.connection.send(Say("x" * 10_000_000))
        peer.send(*["/ping abc"] * 100, "/notice done")
        assert client.event() == Notice("done")
        assert len(peer.receive()) == 10_000_000
        client.connection.wait_for_space()
        peer.send("/ping last")
        assert peer.receive() == "/pong last"


def test_lines_that_are_no_events_are_left_out_and_logged_once(tmp_path: Path) -> None:
    """The log tells their kind, and nothing that was in them."""
    sink = logger.add(tmp_path / "log")
    try:
        with connected() as (client, peer):
            peer.send("/secret thing", "secret", "", "/hello secret -", "/hello 1", b"\xff\xfe\n", "/notice still here")
            assert client.event() == Notice("still here")
    finally:
        logger.remove(sink)
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert (log.count("unknown-event"), log.count("malformed"), log.count("secret")) == (1, 1, 0)


def test_events_are_cleaned() -> None:
    """Nothing that moves a cursor comes out."""
    with connected() as (client, peer):
        peer.send("/notice \x1b[2J\x07red\u202e")
        assert client.event() == Notice("[2Jred")


# --------------------------------------------------------------------------------------------------------------- ends


def test_server_that_closes_is_told_once() -> None:
    """After every line that it sent; what has no end is no line."""
    with connected() as (client, peer):
        peer.send("/notice last words", b"/notice unfini")
        peer.close()
        assert client.event() == Notice("last words")
        assert client.reason() == connection.SERVER_CLOSED
        client.connection.close()
        assert client.events.empty()
        assert client.reasons.empty()


def test_reset_is_told() -> None:
    """With the system's own word for it."""
    with connected() as (client, peer):
        peer.reset()
        assert client.reason() == "the connection to the server is lost: Connection reset by peer"


def test_endless_line_ends_the_connection() -> None:
    """The lines before it count."""
    with connected() as (client, peer):
        peer.send("/notice good", b"x" * (LINE_BYTES + 1))
        assert client.event() == Notice("good")
        assert client.reason() == connection.SERVER_ENDLESS


def test_bug_in_a_callback_ends_the_connection(tmp_path: Path) -> None:
    """It is told and logged, and no thread hangs."""
    reasons: queue.Queue[str] = queue.Queue()

    def fail(event: Event) -> None:
        raise RuntimeError("a bug")

    sink = logger.add(tmp_path / "log", diagnose=False)
    try:
        with FakeServer() as server, Connection(connect("127.0.0.1", server.port), fail, reasons.put):
            server.accept().send("/notice text")
            assert reasons.get(timeout=WAIT_SECONDS) == connection.CLIENT_FAILED
    finally:
        logger.remove(sink)
    assert "RuntimeError: a bug" in (tmp_path / "log").read_text(encoding="utf-8")


def test_close_sends_what_is_queued_and_the_last_command() -> None:
    """The server gets it all, then the end; nobody is told of an end that we made."""
    with connected() as (client, peer):
        for number in range(1_000):
            client.connection.send(Say(f"{number} {'x' * 1_000}"))
        closer = threading.Thread(target=client.connection.close, args=(Exit(),))
        closer.start()
        lines = [peer.receive() for _ in range(1_002)]
        assert lines[999].startswith("999 ")
        assert lines[1_000:] == ["/exit", ""]
        peer.close()
        closer.join(WAIT_SECONDS)
        assert not closer.is_alive()
        assert client.reasons.empty()


def test_close_does_not_wait_for_a_server_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for one that reads nothing."""
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.1)
    with connected() as (client, _):
        client.connection.send(Say("x" * 20_000_000))
        started = time.monotonic()
        client.connection.close()
        assert time.monotonic() - started < 2


def test_nothing_is_handed_on_after_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """What still arrives is read, and dropped."""
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.3)
    with connected() as (client, peer):
        closer = threading.Thread(target=client.connection.close)
        closer.start()
        assert peer.receive() == ""
        peer.send("/notice too late")
        closer.join(WAIT_SECONDS)
        assert client.events.empty()


def test_close_may_be_called_again_and_before_start() -> None:
    """It is idempotent."""
    with FakeServer() as server:
        client = Client(connect("127.0.0.1", server.port))
        client.connection.close()
        client.connection.close()
        assert server.accept().receive() == ""


def test_connect_to_nobody_raises() -> None:
    """OSError, at once."""
    with FakeServer() as gone:
        port = gone.port
    with pytest.raises(ConnectionRefusedError):
        connect("127.0.0.1", port)
