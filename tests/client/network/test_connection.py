"""The client's connection on a real loopback socket: what goes in, what comes out, and how it ends."""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from hubbub.client.network import connection
from hubbub.client.network.connection import Backoff, Callbacks, Connection, UselessError
from hubbub.client.network.dialer import Dialer
from hubbub.protocol import LINE_BYTES, Event, Exit, Hello, Me, Notice, Pong, Say, Welcome
from testing.fake_server import WAIT_SECONDS, FakePeer, FakeServer

HOST = "127.0.0.1"


class Client:
    """A connection to `port` whose events and reasons are noted."""

    def __init__(self, port: int, on_event: Callable[[Event], None] | None = None) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.reasons: queue.Queue[str] = queue.Queue()
        self.waits: queue.Queue[float] = queue.Queue()
        dialer = Dialer(HOST, port)
        callbacks = Callbacks(on_event or self.events.put, self._note_loss, self.reasons.put)
        self.connection = Connection(dialer.connect(), dialer, callbacks)

    def _note_loss(self, reason: str, seconds: float) -> None:
        self.reasons.put(reason)
        self.waits.put(seconds)

    def event(self) -> Event:
        """Return the next event."""
        return self.events.get(timeout=WAIT_SECONDS)

    def reason(self) -> str:
        """Return why the connection was lost."""
        return self.reasons.get(timeout=WAIT_SECONDS)


@contextmanager
def running(connection: Connection) -> Iterator[None]:
    """Start a connection, and close it."""
    connection.start()
    try:
        yield
    finally:
        connection.close()


@contextmanager
def connected(on_event: Callable[[Event], None] | None = None) -> Iterator[tuple[Client, FakePeer]]:
    """Connect a client to a server that the test plays, and see that no thread is left."""
    before = threading.active_count()
    with FakeServer() as server:
        client = Client(server.port, on_event)
        peer = server.accept()
        with running(client.connection):
            yield client, peer
            peer.close()
    assert threading.active_count() == before


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
    """Megabytes are queued at once, and sent when it reads."""
    with connected() as (client, peer):
        started = time.monotonic()
        for _ in range(1_000):
            client.connection.send(Say("x" * 16_000))
        assert time.monotonic() - started < 2
        assert all(peer.receive() == "x" * 16_000 for _ in range(1_000))


def test_stalled_server_loses_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for it is bounded."""
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.2)
    with connected() as (client, _):
        for _ in range(1_000):
            client.connection.send(Say("x" * 16_000))
        assert client.reason() == connection.SERVER_STALLED


def test_slow_callback_does_not_count_as_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be sent while a callback runs."""
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.1)
    busy, may_go_on = threading.Event(), threading.Event()

    def on_event(event: Event) -> None:
        busy.set()
        may_go_on.wait(WAIT_SECONDS)

    with connected(on_event) as (client, peer):
        peer.send("/notice text")
        assert busy.wait(WAIT_SECONDS)
        client.connection.send(Say("still here"))
        assert not may_go_on.wait(0.3)
        may_go_on.set()
        assert peer.receive() == "still here"
        assert client.reasons.empty()


def test_send_without_a_connection_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next connection does not begin with it."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.1)
    with FakeServer() as server, running((client := Client(server.port)).connection):
        server.accept().close()
        assert client.reason()
        client.connection.send(Say("too late"))
        peer = server.accept()
        peer.send("/notice hello again")
        assert client.event()
        client.connection.send(Say("in time"))
        assert peer.receive() == "in time"
        peer.close()


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


def test_ping_is_answered_and_not_passed_on() -> None:
    """The next event is the next line."""
    with connected() as (client, peer):
        peer.send("/ping abc", "/pong def")
        assert peer.receive() == "/pong abc"
        assert client.event() == Pong("def")


def test_pings_of_a_server_that_never_reads_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit they stay unanswered."""
    monkeypatch.setattr(connection, "PONG_BYTES", 10)
    with connected() as (client, peer):
        client.connection.send(Say("x" * 10_000_000))
        peer.send(*["/ping abc"] * 100, "/notice done")
        assert client.event() == Notice("done")
        assert len(peer.receive()) == 10_000_000
        client.connection.send(Say("next"))
        assert peer.receive() == "next"
        peer.send("/ping last")
        assert peer.receive() == "/pong last"


def test_lines_that_are_no_events_are_dropped_and_logged_once(tmp_path: Path) -> None:
    """The log has their kind, and not their text."""
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


def test_end_of_the_connection_is_reported() -> None:
    """After the last whole line."""
    with connected() as (client, peer):
        peer.send("/notice last words", b"/notice unfini")
        peer.close()
        assert client.event() == Notice("last words")
        assert client.reason() == connection.SERVER_CLOSED
        client.connection.close()
        assert client.events.empty()


def test_reset_is_reported() -> None:
    """In the words of the system."""
    with connected() as (client, peer):
        peer.reset()
        assert client.reason() == "the connection to the server is lost: Connection reset by peer"


def test_backoff_doubles_up_to_a_limit() -> None:
    """It starts again after a good connection."""
    backoff = Backoff(max)
    assert [backoff.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next() == 1


def test_backoff_is_random() -> None:
    """Up to half of the time is taken off, so that clients do not return at once."""
    ranges: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return low

    backoff = Backoff(uniform)
    assert [backoff.next() for _ in range(2)] == [0.5, 1]
    assert ranges == [(0.5, 1), (0.5, 1)]


def test_every_failed_attempt_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time to the next; a server that is back is found."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
    with FakeServer() as server:
        port = server.port
        client = Client(port)
        peer = server.accept()
    with running(client.connection):
        peer.close()
        assert client.reason() == connection.SERVER_CLOSED
        assert [client.reason() for _ in range(2)] == ["Connection refused"] * 2
        waits = [client.waits.get(timeout=WAIT_SECONDS) for _ in range(3)]
        assert all(low <= wait <= 2 * low for wait, low in zip(waits, (0.005, 0.01, 0.02), strict=True))
        with FakeServer(port) as again:
            again.accept().send("/notice back")
            assert client.event() == Notice("back")


@pytest.mark.parametrize(("stable_seconds", "is_short"), [(0.0, True), (60.0, False)])
def test_stable_connection_is_followed_by_a_short_wait(
    monkeypatch: pytest.MonkeyPatch, stable_seconds: float, *, is_short: bool
) -> None:
    """The caller says what is a good one; one that is lost soon after that is not stable."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(connection, "STABLE_SECONDS", stable_seconds)
    with FakeServer() as server, running((client := Client(server.port)).connection):
        for good in (False, False, True):
            if good:
                client.connection.note_good()
            server.accept().close()
            assert client.reason() == connection.SERVER_CLOSED
        waits = [client.waits.get(timeout=WAIT_SECONDS) for _ in range(3)]
        assert waits[1] >= 0.01
        assert (waits[2] < 0.01) == is_short


def test_useless_connection_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the reason that the caller gives."""

    def on_event(event: Event) -> None:
        raise UselessError("full")

    with connected(on_event) as (client, peer):
        peer.send("/notice text")
        assert client.reason() == "full"


def test_close_does_not_wait_for_the_next_attempt() -> None:
    """It may be half a minute away."""
    with connected() as (client, peer):
        peer.close()
        assert client.reason()
        started = time.monotonic()
        client.connection.close()
        assert time.monotonic() - started < 0.4


def test_close_does_not_wait_for_an_unreachable_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that neither accepts nor refuses a connection."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)
    dialing, look_up = threading.Event(), socket.getaddrinfo

    def see(host: str, port: int, **options: Any) -> Any:
        dialing.set()
        return look_up(host, port, **options)

    with socket.create_server((HOST, 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        address = listener.getsockname()
        with running((client := Client(address[1])).connection):
            sock = listener.accept()[0]
            for _ in range(4):  # fill its queue
                other = stack.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(address)
            monkeypatch.setattr(socket, "getaddrinfo", see)
            sock.close()
            assert client.reason()
            assert dialing.wait(WAIT_SECONDS)
            started = time.monotonic()
            client.connection.close()
            assert time.monotonic() - started < 0.4
        assert client.reasons.empty()


def test_silent_server_is_asked_and_then_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte of an answer is enough to stay."""
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(connection, "ALIVE_SECONDS", 0.1)
    with connected() as (client, peer):
        assert peer.receive() == "/ping alive"
        peer.send(b"/")
        assert peer.receive() == "/ping alive"
        assert client.reasons.empty()
        assert client.reason() == connection.SERVER_SILENT


def test_endless_line_ends_the_connection() -> None:
    """The lines before it count."""
    with connected() as (client, peer):
        peer.send("/notice good", b"x" * (LINE_BYTES + 1))
        assert client.event() == Notice("good")
        assert client.reason() == connection.SERVER_ENDLESS


def test_bug_in_a_callback_ends_the_connection(tmp_path: Path) -> None:
    """It is reported and logged, and no thread hangs."""

    def fail(event: Event) -> None:
        raise RuntimeError("a bug")

    sink = logger.add(tmp_path / "log", diagnose=False)
    try:
        with connected(fail) as (client, peer):
            peer.send("/notice text")
            assert client.reason() == connection.CLIENT_FAILED
    finally:
        logger.remove(sink)
    assert "RuntimeError: a bug" in (tmp_path / "log").read_text(encoding="utf-8")


def test_close_sends_what_is_queued_and_the_last_command() -> None:
    """Then it ends its side; an end of our own is not reported."""
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


def test_no_callback_is_called_after_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """What still arrives is read and dropped."""
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
        client = Client(server.port)
        client.connection.close()
        client.connection.close()
        assert server.accept().receive() == ""
