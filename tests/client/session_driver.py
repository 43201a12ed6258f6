"""A session with a user interface and a server that a test plays."""

import queue
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubbub.client.input import InputHandler
from hubbub.client.network.dialer import Dialer
from hubbub.client.output.render import render
from hubbub.client.output.styled_line import StyledLine
from hubbub.client.session import Session
from hubbub.client.state.backlog import Backlog, Since
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.notification import Notification
from hubbub.client.state.settings import SettingsFile
from hubbub.protocol import Name
from testing.fake_server import WAIT_SECONDS, FakePeer, FakeServer

HOST = "127.0.0.1"
NOON = 1_763_812_800_000  # 2025-11-22 12:00 UTC


class FakeUi:
    """A user interface without a user; it notes what is shown, once `may_show` is set."""

    def __init__(self, *, interactive: bool) -> None:
        self.is_interactive = interactive
        self.shown: queue.Queue[str] = queue.Queue()
        self.notifications: list[Notification] = []
        self.lines: list[StyledLine] = []  # shown without a notification
        self.showing = threading.Event()
        self.may_show = threading.Event()
        self.may_show.set()
        self.stopped = threading.Event()

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Fail: no user answers."""
        raise AssertionError(prompt)

    def show_line(self, line: StyledLine) -> None:
        """Note the line."""
        self.lines.append(line)
        self.shown.put(line.text)

    def clear(self) -> None:
        """Note it."""
        self.shown.put("cleared")

    def refresh(self) -> None:
        """Do nothing: there is no status line."""

    def show(self, notification: Notification) -> None:
        """Note the line, once that is allowed."""
        self.showing.set()
        self.may_show.wait(WAIT_SECONDS)
        row = render(notification.event, notification.me)
        if row is not None:
            self.notifications.append(notification)
            self.shown.put(row.text)

    def next_line(self) -> str:
        """Return the next line."""
        return self.shown.get(timeout=WAIT_SECONDS)

    def skip_to(self, end: str) -> None:
        """Skip the lines up to one with this end."""
        while not self.next_line().endswith(end):
            pass

    def stop(self) -> None:
        """Note it."""
        self.stopped.set()

    def close(self) -> None:
        """Do nothing: everything is shown."""


class DrivenSession(Session):
    """A session with the input handler and the settings of its user."""

    def __init__(
        self,
        address: tuple[str, int],
        ui: FakeUi,
        *,
        timeout: float,
        look_up_names: bool,
        show_past: bool,
        since: Since | None,
    ) -> None:
        highlights = Highlights()
        backlog = Backlog(since) if since is not None else None
        dialer = Dialer(*address)
        super().__init__(
            dialer.connect(),
            dialer,
            ui,
            highlights,
            timeout=timeout,
            look_up_names=look_up_names,
            show_past=show_past,
            backlog=backlog,
        )
        self.folder = tempfile.TemporaryDirectory()
        self.settings = SettingsFile(Path(self.folder.name), pytest.fail)
        self.input = InputHandler(self, highlights, self.settings, ui)


@contextmanager
def connected(
    *, interactive: bool = False, timeout: float = WAIT_SECONDS
) -> Iterator[tuple[DrivenSession, FakePeer, FakeUi]]:
    """Connect a session to a server that the test plays."""
    with connected_server(interactive=interactive, timeout=timeout) as (session, server, ui):
        yield session, server.accept(), ui


@contextmanager
def connected_server(
    *,
    interactive: bool = False,
    timeout: float = WAIT_SECONDS,
    look_up_names: bool = False,
    show_past: bool = True,
    since: Since | None = None,
) -> Iterator[tuple[DrivenSession, FakeServer, FakeUi]]:
    """Connect a session to a server that accepts more than one connection; check that no thread is left."""
    ui = FakeUi(interactive=interactive)
    with FakeServer() as server:
        address = (HOST, server.port)
        session = DrivenSession(
            address, ui, timeout=timeout, look_up_names=look_up_names, show_past=show_past, since=since
        )
        try:
            yield session, server, ui
        finally:
            server.close_peers()
            session.close()
            session.folder.cleanup()
    assert "socket" not in {thread.name for thread in threading.enumerate()}


@contextmanager
def signing_in(session: Session, user: Name, room: str = "") -> Iterator[None]:
    """Sign in on another thread, while the test plays the server."""
    thread = threading.Thread(target=session.sign_in, args=(user, room))
    thread.start()
    yield
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


@contextmanager
def signed_in(
    *, interactive: bool = True, timeout: float = WAIT_SECONDS
) -> Iterator[tuple[DrivenSession, FakePeer, FakeUi]]:
    """Sign in as `alice`, in the lobby."""
    with signed_in_server(interactive=interactive, timeout=timeout) as (session, _, peer, ui):
        yield session, peer, ui


@contextmanager
def signed_in_server(
    *, interactive: bool = True, timeout: float = WAIT_SECONDS, look_up_names: bool = False
) -> Iterator[tuple[DrivenSession, FakeServer, FakePeer, FakeUi]]:
    """Sign in as `alice`, in the lobby of a server that accepts more than one connection."""
    with connected_server(interactive=interactive, timeout=timeout, look_up_names=look_up_names) as (
        session,
        server,
        ui,
    ):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.admit()
        ui.skip_to("--- you are in lobby: 1 person")
        yield session, server, peer, ui


def said(seq: int, text: str, room: str = "lobby") -> str:
    """Return a line of bob's."""
    return f"/say {room} {seq} {NOON + seq} bob blue {text}"
