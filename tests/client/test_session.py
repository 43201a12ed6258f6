"""A session between a console that a test plays and a server that it plays too."""

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubbub.client import input as input_module
from hubbub.client import session as session_module
from hubbub.client.commands import GENERAL_COMMANDS, KEYS, MORE_HELP, OPERATOR_COMMANDS
from hubbub.client.input import InputHandler
from hubbub.client.login import NameRefusedError, SignInError
from hubbub.client.network import connection
from hubbub.client.network.dialer import Dialer
from hubbub.client.output.render import render
from hubbub.client.output.styled_line import StyledLine
from hubbub.client.output.ui import InputRejectedError, StoppedError
from hubbub.client.progress import NotSentError
from hubbub.client.prompts import choose_color
from hubbub.client.session import Session
from hubbub.client.state import chat_state
from hubbub.client.state.backlog import Backlog, Since
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.notification import Age, Notification
from hubbub.client.state.outbox import Outbox
from hubbub.client.state.settings import SettingsFile
from hubbub.client.state.status import Status
from hubbub.protocol import Name, ProtocolError
from testing.fake_server import WAIT_SECONDS, FakePeer, FakeServer

HOST = "127.0.0.1"
NOON = 1_763_812_800_000  # 2025-11-22 12:00 UTC


class FakeConsole:
    """Nobody who answers, even if it `asks`; what is shown can be held up."""

    def __init__(self, *, asks: bool) -> None:
        self.is_interactive = asks
        self.shown: queue.Queue[str] = queue.Queue()
        self.news: list[Notification] = []
        self.showing = threading.Event()
        self.may_show = threading.Event()
        self.may_show.set()
        self.stopped = threading.Event()

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Fail: nobody is there."""
        raise AssertionError(prompt)

    def show_line(self, line: StyledLine) -> None:
        """Fail: nobody is asked."""
        raise AssertionError(line.text)

    def clear(self) -> None:
        """Note it."""
        self.shown.put("cleared")

    def refresh(self) -> None:
        """Have no status line."""

    def show(self, news: Notification) -> None:
        """Keep the line, once that is allowed."""
        self.showing.set()
        self.may_show.wait(WAIT_SECONDS)
        row = render(news.event, news.me)
        if row is not None:
            self.news.append(news)
            self.shown.put(row.text)

    def next(self) -> str:
        """Return the next line."""
        return self.shown.get(timeout=WAIT_SECONDS)

    def drain(self, end: str) -> None:
        """Take the lines up to one that ends like this."""
        while not self.next().endswith(end):
            pass

    def stop(self) -> None:
        """Note it."""
        self.stopped.set()

    def close(self) -> None:
        """Have nothing to show."""


class Stay(Session):
    """A session, with the input handler of its user."""

    def __init__(
        self,
        address: tuple[str, int],
        console: FakeConsole,
        *,
        timeout: float,
        curious: bool,
        past: bool,
        since: Since | None,
    ) -> None:
        highlights = Highlights()
        backlog = Backlog(since) if since is not None else None
        dialer = Dialer(*address)
        super().__init__(
            dialer.connect(),
            dialer,
            console,
            highlights,
            timeout=timeout,
            look_up_names=curious,
            show_past=past,
            backlog=backlog,
        )
        self.folder = tempfile.TemporaryDirectory()
        self.settings = SettingsFile(Path(self.folder.name), pytest.fail)
        self.input = InputHandler(self, highlights, self.settings, console)


def wait_until(true: Callable[[], bool]) -> None:
    """Look until it is `true`, or fail after WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def visiting(*, asks: bool = False, timeout: float = WAIT_SECONDS) -> Iterator[tuple[Stay, FakePeer, FakeConsole]]:
    """Connect a session to a server that the test plays."""
    with visiting_server(asks=asks, timeout=timeout) as (session, server, console):
        yield session, server.accept(), console


@contextmanager
def visiting_server(
    *,
    asks: bool = False,
    timeout: float = WAIT_SECONDS,
    curious: bool = False,
    past: bool = True,
    since: Since | None = None,
) -> Iterator[tuple[Stay, FakeServer, FakeConsole]]:
    """Do the same; the session may connect to it more than once, and is left without a thread."""
    console = FakeConsole(asks=asks)
    with FakeServer() as server:
        address = (HOST, server.port)
        session = Stay(address, console, timeout=timeout, curious=curious, past=past, since=since)
        try:
            yield session, server, console
        finally:
            server.close_peers()
            session.close()
            session.folder.cleanup()
    assert "socket" not in {thread.name for thread in threading.enumerate()}


@contextmanager
def signing_in(session: Session, who: Name, room: str = "") -> Iterator[None]:
    """Sign in, with a server that is played meanwhile."""
    visitor = threading.Thread(target=session.sign_in, args=(who, room))
    visitor.start()
    yield
    visitor.join(WAIT_SECONDS)
    assert not visitor.is_alive()


@contextmanager
def inside(*, asks: bool = True, timeout: float = WAIT_SECONDS) -> Iterator[tuple[Stay, FakePeer, FakeConsole]]:
    """Be `alice` in the lobby."""
    with inside_server(asks=asks, timeout=timeout) as (session, _, peer, console):
        yield session, peer, console


@contextmanager
def inside_server(
    *, asks: bool = True, timeout: float = WAIT_SECONDS
) -> Iterator[tuple[Stay, FakeServer, FakePeer, FakeConsole]]:
    """Be `alice` in the lobby of a server to which she can come back."""
    with visiting_server(asks=asks, timeout=timeout) as (session, server, console):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.admit()
        console.drain("--- you are in lobby: 1 person")
        yield session, server, peer, console


def test_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else may listen there."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.2)
    with visiting() as (session, _, _):
        with pytest.raises(StoppedError):
            session.sign_in(Name("alice", "red"))
        assert session.reason.startswith("the server did not answer within")


def test_server_that_speaks_another_language_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are no events."""
    monkeypatch.setattr(session_module, "ANSWER_SECONDS", 0.2)
    with visiting() as (session, peer, _):
        peer.send("SSH-2.0-OpenSSH_9.2")
        with pytest.raises(StoppedError):
            session.sign_in(Name("alice", "red"))


def test_other_version_of_the_protocol_is_refused() -> None:
    """Both versions are told."""
    with visiting() as (session, peer, _):
        peer.send("/hello 2 -")
        with pytest.raises(SignInError, match="the server speaks version 2 of the protocol, and this client 1"):
            session.sign_in(Name("alice", "red"))


@pytest.mark.parametrize("greeting", [[], ["/hello 1 -"]])
def test_server_that_lets_nobody_in_is_understood(greeting: list[str]) -> None:
    """Its reason is what the person gets, whether it greets first or not."""
    with visiting() as (session, peer, _):
        peer.send(*greeting, "/error server-full 10 people are here; try again later")
        with pytest.raises(SignInError, match="10 people are here; try again later"):
            session.sign_in(Name("alice", "red"))


def test_slow_reader_of_ours_is_no_silence_of_the_server() -> None:
    """As when what is shown goes into a pager."""
    with inside(asks=False, timeout=0.3) as (session, peer, console):
        waiter = threading.Thread(target=session.wait_until_delivered)
        waiter.start()
        token = peer.receive().removeprefix("/ping ")
        console.may_show.clear()
        console.showing.clear()
        peer.send("/notice a long text", f"/pong {token}")
        assert console.showing.wait(WAIT_SECONDS)
        waiter.join(0.6)
        assert waiter.is_alive()
        console.may_show.set()
        waiter.join(WAIT_SECONDS)
        assert not waiter.is_alive()
        assert not session.reason


def test_server_that_gets_on_is_waited_for() -> None:
    """However long everything takes together."""
    with inside(asks=False, timeout=0.3) as (session, peer, _):
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


def test_server_that_does_not_get_on_is_not_waited_for() -> None:
    """What is not sent can be told."""
    with inside(asks=False, timeout=0.1) as (session, peer, _):
        session.input.handle_line_and_wait("one")
        session.input.handle_line_and_wait("two")
        peer.send("/ack 1")
        with pytest.raises(NotSentError, match=r"the server accepted nothing for 0\.1 s; everything was read"):
            session.wait_until_delivered()
        assert session.unsent == ["two"]


def test_pipe_waits_when_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the server to take some of it; the line that was read is kept."""
    monkeypatch.setattr(chat_state, "Outbox", lambda: Outbox(lines=2))
    with inside(asks=False, timeout=0.1) as (session, peer, _):
        session.input.handle_line_and_wait("one")
        with pytest.raises(NotSentError, match="the rest of the input was not read"):
            session.input.handle_line_and_wait("two")
        assert session.unsent == ["one", "two"]
        peer.acknowledge("1 one")
        peer.acknowledge("2 two")


def test_keyboard_does_not_wait_when_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person is told why, and keeps the line."""
    monkeypatch.setattr(chat_state, "Outbox", lambda: Outbox(lines=1))
    with inside() as (session, _, console):
        session.input.handle_line("one")
        with pytest.raises(InputRejectedError):
            session.input.handle_line("two")
        assert console.next().startswith("!!! not accepted: 1 line is waiting to be sent, and no more can")
        assert session.unsent == ["one"]


def test_blank_line_does_nothing() -> None:
    """Neither does one of spaces."""
    with inside() as (session, peer, _):
        assert session.input.handle_line("")
        assert session.input.handle_line("  \t")
        assert session.input.handle_line("text")
        assert peer.receive() == "/post 1 text"


def test_typed_text_is_cleaned() -> None:
    """What a paste brought along does not leave this machine."""
    with inside() as (session, peer, _):
        session.input.handle_line("a\x1b[31m\u202eb")
        assert peer.receive() == "/post 1 a[31mb"


@pytest.mark.parametrize("line", ["/post 7 text", "/resume token lobby 0"])
def test_what_programs_say_is_not_for_people(line: str) -> None:
    """Posts are counted here, and we come back by ourselves."""
    with inside() as (session, _, console):
        session.input.handle_line(line)
        assert console.next().startswith("!!! there is no command /")


def test_refused_post_is_shown_with_its_text() -> None:
    """It is told why, and is no more unsent."""
    with inside() as (session, peer, console):
        session.input.handle_line("/me shouts")
        peer.send("/refused 1 not-allowed nobody may shout")
        assert console.next() == "!!! nobody may shout; not sent: /me shouts"
        assert session.unsent == []


def test_line_for_a_room_that_is_closed_to_us_is_said_nowhere() -> None:
    """It is told with the refusal of the room."""
    with inside() as (session, peer, console):
        session.input.handle_line("/join ops")
        session.input.handle_line("secret")
        peer.answer_command("/join ops", "/error room-locked ops is locked")
        assert console.next() == "!!! ops is locked"
        assert console.next() == "!!! not sent, because you could not enter its room: secret"
        session.input.handle_line("hello")
        peer.acknowledge("1 hello")


# ------------------------------------------------------------------------------------------------------- coming back


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back at once."""
    monkeypatch.setattr(connection, "RETRY_SECONDS", 0.01)


def said(seq: int, text: str, room: str = "lobby") -> str:
    """Return a line that bob said."""
    return f"/say {room} {seq} {NOON + seq} bob blue {text}"


@pytest.mark.usefixtures("soon")
def test_who_comes_back_gets_what_was_missed() -> None:
    """It says what it has; a line that it has is not shown twice, and no heading is."""
    with inside_server() as (_, server, peer, console):
        peer.send(said(1, "one"), said(2, "two"), said(3, "half a li").encode())
        console.drain("bob: two")
        peer.close()
        server.accept().admit_resumed("/resume token lobby 2", 0, "/entered lobby 4 2 -", *map(said, (2, 3, 4), "234"))
        assert [console.next()[6:] for _ in range(2)] == ["bob: 3", "bob: 4"]


@pytest.mark.usefixtures("soon")
def test_gap_is_shown() -> None:
    """And not asked for again."""
    with inside_server() as (_, server, peer, console):
        peer.close()
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 0", 0, "/entered lobby 900 1 -", "/gap lobby 1 899", said(900, "late"))
        assert console.next() == "--- lines 1 to 899 of lobby are no longer kept"
        console.drain("bob: late")
        peer.reset()
        server.accept().admit_resumed("/resume token lobby 900", 0)


@pytest.mark.usefixtures("soon")
def test_past_that_was_cut_off_is_asked_for() -> None:
    """A room shows its last 50 lines, whose rest is what is missed."""
    with inside_server() as (session, server, peer, console):
        session.input.handle_line("/join ops")
        peer.answer_command("/join ops", "/entered ops 300 2 -", said(251, "first", "ops"))
        console.drain("bob: first")
        peer.close()
        peer = server.accept()
        peer.admit_resumed("/resume token ops 251", 0, "/entered ops 300 2 -", said(252, "second", "ops"))
        console.drain("bob: second")
        peer.close()
        server.accept().admit_resumed("/resume token ops 252", 0)


@pytest.mark.usefixtures("soon")
def test_what_is_not_kept_is_sent_again() -> None:
    """Once, with its number; what is kept is not, whether we knew or not."""
    with inside_server() as (session, server, peer, _):
        for line in ("one", "two", "three"):
            session.input.handle_line(line)
        peer.acknowledge("1 one")
        assert peer.receive() == "/post 2 two"
        peer.reset()
        peer = server.accept()
        session.input.handle_line("four")
        peer.admit_resumed("/resume token lobby 0", 2, "/entered lobby 0 1 -")
        peer.acknowledge("3 three", "4 four")
        session.input.handle_line("five")
        peer.acknowledge("5 five")


@pytest.mark.usefixtures("soon")
def test_join_whose_answer_was_lost() -> None:
    """The server tells where we are; what was typed there is said there."""
    with inside_server() as (session, server, peer, console):
        session.input.handle_line("/join ops")
        session.input.handle_line("hello ops")
        assert peer.receive() == "/join ops"
        peer.close()
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 0", 0, "/entered ops 1 2 -", said(1, "welcome", "ops"))
        peer.acknowledge("1 hello ops")
        assert console.next() == "--- you are in ops: 2 people"
        console.drain("bob: welcome")


@pytest.mark.usefixtures("soon")
def test_session_that_is_not_known_is_begun_anew() -> None:
    """Under the same name and colour, back in the room, past the lobby, and with the lines counted anew."""
    with inside_server() as (session, server, peer, console):
        session.input.handle_line("/join ops")
        peer.answer_command("/join ops", "/entered ops 0 1 -", f"/renamed ops {NOON} alice pink eve")
        console.drain("you are now eve")
        session.input.handle_line("one")
        peer.acknowledge("1 one")
        session.input.handle_line("two")
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token ops 0"
        peer.send("/error resume-unknown nobody knows you")
        assert peer.receive() == "/name eve pink"
        peer.send("/welcome eve pink token2 0", "/entered lobby 9 5 -", said(9, "not for eve"))
        peer.answer_command("/join ops", "/entered ops 1 1 -", said(1, "for eve", "ops"))
        peer.acknowledge("1 two")
        assert console.next().endswith("bob: for eve")
        peer.close()
        assert server.accept().greet() == "/resume token2 ops 1"


@pytest.mark.usefixtures("soon")
def test_room_that_was_begun_anew_is_read_anew() -> None:
    """A server that starts without its past counts lines from 1."""
    with inside_server() as (_, server, peer, console):
        peer.send(said(40, "old"))
        console.drain("bob: old")
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token lobby 40"
        peer.send("/error resume-unknown nobody knows you")
        assert peer.receive() == "/name alice red"
        later = f"{NOON + 1_000} bob blue"
        peer.send("/welcome alice red token 0", "/entered lobby 1 2 -", f"/say lobby 1 {later} new")
        peer.send(f"/say lobby 2 {later} newer")
        assert [console.next()[6:] for _ in range(2)] == ["bob: new", "bob: newer"]
        peer.close()
        server.accept().admit_resumed("/resume token lobby 2", 0)


@pytest.mark.usefixtures("soon")
def test_name_that_is_taken_meanwhile_is_told_once() -> None:
    """However often we try; another name gets us in, and what waits is sent."""
    with inside_server() as (session, server, peer, console):
        peer.close()
        peer = server.accept()
        session.input.handle_line("hello")
        assert peer.greet() == "/resume token lobby 0"
        peer.send("/error resume-unknown nobody knows you")
        for _ in range(2):
            assert peer.receive() == "/name alice red"
            peer.send("/error name-taken alice is taken")
            peer.close()
            peer = server.accept()
            peer.send("/hello 1 -")
        assert console.next() == "!!! alice is taken; not signed in: type /name NAME"
        assert peer.receive() == "/name alice red"
        peer.send("/error name-taken alice is taken", "/ping done")
        assert peer.receive() == "/pong done"
        assert session.status().connection == "not signed in: type /name NAME"
        session.input.handle_line("/name alba")
        assert peer.receive() == "/name alba red"
        peer.send("/welcome alba red token2 0", "/entered lobby 0 1 -")
        peer.acknowledge("1 hello")
        assert console.shown.empty()


def test_who_is_kicked_does_not_come_back_by_itself() -> None:
    """The stay ends, and the person is told why."""
    with inside() as (session, peer, console):
        peer.send("/error kicked you were kicked by op: spam", "/bye you were kicked by op: spam")
        assert console.stopped.wait(WAIT_SECONDS)
        assert session.reason == "you were kicked by op: spam"


@pytest.mark.usefixtures("soon")
def test_name_that_is_taken_meanwhile_ends_a_pipe() -> None:
    """There is nobody to choose another; what is not sent can be told."""
    with inside_server(asks=False) as (session, server, peer, _):
        session.input.handle_line_and_wait("hello")
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token lobby 0"
        peer.send("/error name-taken alice is taken")
        with pytest.raises(StoppedError):
            session.wait_until_delivered()
        assert session.reason == "alice is taken"
        assert session.unsent == ["hello"]


@pytest.mark.usefixtures("soon")
def test_server_that_lets_nobody_in_for_now_is_asked_again() -> None:
    """Nobody is told of every try."""
    with inside_server() as (_, server, peer, console):
        peer.close()
        peer = server.accept()
        assert peer.greet() == "/resume token lobby 0"
        peer.send("/error server-full 10 people are here")
        server.accept().admit_resumed("/resume token lobby 0", 0, "/notice back")
        assert console.next() == "--- back"


@pytest.mark.usefixtures("soon")
def test_question_on_its_way_is_not_asked_twice() -> None:
    """A private message could arrive twice; the person is told, and decides."""
    with inside_server() as (session, server, peer, console):
        session.input.handle_line("/msg bob psst")
        assert peer.receive() == "/msg bob psst"
        peer.close()
        expected = "!!! the connection was lost; check whether this was carried out: /msg bob psst"
        assert console.next() == expected
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 0", 0, "/entered lobby 0 1 -")
        session.input.handle_line("next")
        assert peer.receive() == "/post 1 next"


def test_questions_need_a_connection() -> None:
    """They are refused at once, but for /help."""
    with inside() as (session, peer, console):
        peer.close()
        wait_until(lambda: session.status().connection != "connected")
        for line in ("/list", "/who", "/history", "/msg bob psst"):
            session.input.handle_line(line)
            assert console.next() == f"!!! Not sent, offline: {line} (press Up to get it back)"
        session.input.handle_line("/help join")
        text = "go to ROOM, or make it; KEY locks a new one"
        assert console.next() == f"--- /join ROOM [KEY]  {text}"
        session.input.handle_line("/help jion")
        assert console.next().startswith("!!! there is no command /jion")


def test_history_shows_lines_that_are_shown_already() -> None:
    """For that it is asked."""
    with inside() as (session, peer, console):
        peer.send(said(1, "one"))
        console.drain("bob: one")
        session.input.handle_line("/history")
        peer.answer_command("/history", said(1, "one"), "/end history")
        console.drain("bob: one")
        session.input.handle_line("hello")
        peer.acknowledge("1 hello")
        peer.send(said(1, "one"), said(2, "two"))
        assert console.next().endswith("bob: two")


@pytest.mark.usefixtures("soon")
def test_silent_server_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After one question."""
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(connection, "ALIVE_SECONDS", 0.05)
    with inside_server() as (_, server, peer, _):
        assert peer.receive() == "/ping alive"
        assert peer.receive() == ""
        assert server.accept().greet() == "/resume token lobby 0"


def test_hole_in_what_the_server_sends_is_told() -> None:
    """Before the line behind it."""
    with inside() as (_, peer, console):
        peer.send(said(1, "one"), said(5, "five"))
        console.drain("one")
        assert console.next() == "--- lines 2 to 4 of this room are missing; /history shows those that are stored"
        assert console.next().endswith("five")


# ------------------------------------------------------------------------------------------------- status and leaving


def test_status_tells_who_is_here() -> None:
    """As far as the server does."""
    with inside() as (session, peer, console):
        assert session.status().line() == "lobby · 1 person · connected"
        peer.send(f"/joined lobby {NOON} bob red", f"/joined lobby {NOON} eve red", f"/left lobby {NOON} eve red exit")
        console.drain("eve left")
        assert session.status().line() == "lobby · 2 people · connected"
        session.input.handle_line("/join crowd")
        peer.answer_command("/join crowd", "/entered crowd 0 201 -")
        console.drain("201 people")
        assert session.status().line() == "crowd · connected"


def test_status_tells_what_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once without a connection, and with one after a moment."""
    with inside() as (session, peer, _):
        session.input.handle_line("hello")
        assert session.status().unsent == ()
        monkeypatch.setattr(session_module, "UNSENT_SECONDS", 0.0)
        assert session.status().line() == "lobby · 1 person · connected · 1 unsent"
        monkeypatch.undo()
        peer.close()
        wait_until(lambda: session.status().connection != "connected")
        session.input.handle_line("/join ops")
        assert session.status() == Status("ops", None, "reconnecting in 1 s", ("hello", "/join ops"), 2)


def test_leaving_waits_for_what_is_on_its_way() -> None:
    """The server needs a moment."""
    with inside() as (session, peer, _):
        session.input.handle_line("hello")
        acknowledging = threading.Timer(0.1, peer.send, ["/ack 1"])
        acknowledging.start()
        assert not session.input.handle_line("/exit")
        acknowledging.join()


def test_leaving_with_lines_that_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time the person is told; to go on typing starts that anew."""
    monkeypatch.setattr(input_module, "EXIT_SECONDS", 0.01)
    with inside() as (session, _, console):
        session.input.handle_line("hello")
        assert session.input.handle_line("/exit")
        assert console.next() == "!!! 1 line is unsent. /exit again discards it"
        session.input.handle_line("hello?")
        assert session.input.handle_line("/exit")
        assert console.next() == "!!! 2 lines are unsent. /exit again discards them"
        assert not session.input.handle_line("/exit")


# ------------------------------------------------------------------------------------------------------ being let in


@pytest.mark.parametrize("code", ["name-taken", "name-invalid"])
def test_name_that_is_refused(code: str) -> None:
    """Another one may do; what else is refused has no remedy here."""
    with visiting() as (session, peer, _):
        peer.send("/hello 1 -", f"/error {code} choose another name")
        with pytest.raises(NameRefusedError, match="choose another name"):
            session.sign_in(Name("alice"))


def test_way_into_a_room_leads_silently_through_the_lobby() -> None:
    """Nothing of it is shown, and what is typed meanwhile is said in the room."""
    with visiting(asks=True) as (session, peer, console):
        with signing_in(session, Name("alice", "red"), "ops"):
            assert peer.greet() == "/name alice red"
            peer.send("/welcome alice red token 0", "/entered lobby 1 2 -", said(1, "not for alice"))
        session.input.handle_line("hello ops")
        peer.answer_command("/join ops", "/entered ops 0 1 -")
        peer.acknowledge("1 hello ops")
        assert [console.next() for _ in range(2)] == [
            "--- you are alice; /help shows the commands, /exit leaves",
            "--- you are in ops: 1 person",
        ]


def test_way_into_a_room_that_is_closed_ends_in_the_lobby() -> None:
    """Which is then shown."""
    with visiting(asks=True) as (session, peer, console):
        with signing_in(session, Name("alice", "red"), "ops"):
            assert peer.greet() == "/name alice red"
            peer.send("/welcome alice red token 0", "/entered lobby 1 2 -", said(1, "before"))
        peer.answer_command("/join ops", "/error room-locked ops is locked")
        console.drain("!!! ops is locked")
        assert console.next() == "--- you are in lobby: 2 people"
        peer.send(said(2, "now"))
        assert console.next().endswith("bob: now")


# ------------------------------------------------------------------------------------------------- what needs no server


def test_answer_goes_to_whoever_told_last() -> None:
    """Without them there is nobody to answer."""
    with inside() as (session, peer, console):
        session.input.handle_line("/r hello")
        assert console.next().startswith("!!! No private message yet")
        peer.send(f"/msg {NOON} bob blue alice psst", f"/msg {NOON} carol blue alice hey")
        console.drain("hey")
        session.input.handle_line("/r what?")
        assert peer.receive() == "/msg carol what?"


def test_nothing_is_shown_of_the_ignored() -> None:
    """From now on and the next time; until that is taken back."""
    with inside() as (session, peer, console):
        for line, answer in [
            ("/ignore", "--- you ignore no one"),
            ("/ignore alice", "!!! you cannot ignore yourself; /ignore NAME hides the messages of another user"),
            ("/unignore bob", "!!! you do not ignore bob; /ignore lists the names that you ignore"),
            ("/ignore Bob", "--- messages from Bob are hidden; /unignore Bob shows them again"),
            ("/ignore", "--- you ignore Bob"),
        ]:
            session.input.handle_line(line)
            assert console.next() == answer
        peer.send(said(1, "one"), f"/say lobby 2 {NOON} carol red two")
        assert console.next().endswith("carol: two")
        assert SettingsFile(Path(session.folder.name), pytest.fail).load().ignored == ("Bob",)
        session.input.handle_line("/unignore BOB")
        assert console.next() == "--- messages from BOB are shown again"
        peer.send(said(3, "three"))
        assert console.next().endswith("bob: three")
        assert SettingsFile(Path(session.folder.name), pytest.fail).load().ignored == ()


def test_settings_that_cannot_be_written_hold_for_this_time() -> None:
    """The person is told."""
    with inside() as (session, peer, console):
        (Path(session.folder.name) / "settings.json").mkdir()
        session.input.handle_line("/ignore bob")
        assert "this holds only until you leave" in console.next()
        assert console.next().startswith("--- messages from bob are hidden")
        peer.send(said(1, "one"), f"/say lobby 2 {NOON} carol red two")
        assert console.next().endswith("carol: two")


def test_mentions_are_shown_again() -> None:
    """By room, and without calling anybody again."""
    with inside() as (session, peer, console):
        session.input.handle_line("/mentions")
        assert console.next() == "--- No mention in the lines shown here"
        peer.send(said(1, "alice?"), said(2, "nobody"), f"/msg {NOON} bob blue alice psst")
        console.drain("psst")
        assert [news.alert for news in console.news[-3:]] == [True, False, True]
        session.input.handle_line("/mentions")
        shown = [console.next() for _ in range(4)]
        assert shown == ["--- in lobby:", "12:00 bob: alice?", "--- private messages:", "12:00 [bob -> alice] psst"]
        assert [(news.age, news.alert) for news in console.news if news.age is Age.PAST] == [(Age.PAST, False)] * 2


def test_room_rings_as_the_person_wants() -> None:
    """It is kept for the next time, and is about no other room."""
    with inside() as (session, peer, console):
        for line, answer in [
            ("/notify", "--- a line in lobby rings when it has your name"),
            ("/notify ALL", "--- every line in lobby rings"),
            ("/notify some", "!!! usage: /notify [all|mention|off]"),
        ]:
            session.input.handle_line(line)
            assert console.next() == answer
        peer.send(said(1, "one"))
        console.drain("one")
        assert console.news[-1].alert
        assert SettingsFile(Path(session.folder.name), pytest.fail).load().notify == {"lobby": "all"}


def test_clear_is_left_to_the_console() -> None:
    """It has the screen."""
    with inside() as (session, _, console):
        session.input.handle_line("/clear")
        assert console.next() == "cleared"


def test_the_colours_and_mine() -> None:
    """Who types `/color` alone sees what there is to choose from."""
    with inside() as (session, _, console):
        session.input.handle_line("/color")
        colors = "black, white, pink, red, orange, yellow, green, cyan, teal, light-blue, blue, purple"
        assert console.next() == f"--- your colour is red; /color takes one of {colors}"


def test_help_needs_no_server() -> None:
    """It has what people type, with what the client does by itself, and nothing for programs."""
    with inside() as (session, _, console):
        for line, rows, others in [
            ("/help", GENERAL_COMMANDS, [f"--- {MORE_HELP}", f"--- {KEYS}"]),
            ("/help operators", OPERATOR_COMMANDS, []),
            ("/help quit", ["exit"], []),
        ]:
            session.input.handle_line(line)
            assert [console.next().split()[1] for _ in rows] == [f"/{word}" for word in rows]
            assert [console.next() for _ in others] == others
        session.input.handle_line("/help jion")
        assert console.next().startswith("!!! there is no command /jion; did you mean /join?")


# ------------------------------------------------------------------------------------------------------------- pastes


def test_pasted_lines_are_text() -> None:
    """In order, whatever they begin with; blank ones are left out."""
    with inside() as (session, peer, _):
        session.input.handle_paste(["/exit", "", "	//two", "three"])
        peer.acknowledge("1 //exit", "2  //two", "3 three")


def test_paste_with_a_line_that_is_too_long_stays() -> None:
    """All of it; it is told which line, and why."""
    with inside() as (session, peer, console):
        with pytest.raises(InputRejectedError):
            session.input.handle_paste(["one", "x" * 2_001])
        assert console.next().startswith("!!! nothing was sent, because of line 2: a message has at most 2000")
        session.input.handle_paste(["later"])
        peer.acknowledge("1 later")


@pytest.mark.parametrize(
    ("outbox", "reason"),
    [
        (lambda: Outbox(lines=2), "at most 2 lines can be sent at once, and these are 3"),
        (lambda: Outbox(size=6), "at most 6 bytes can be sent at once, and these lines are more"),
    ],
)
def test_paste_that_is_always_too_much_stays(
    monkeypatch: pytest.MonkeyPatch, outbox: Callable[[], Outbox], reason: str
) -> None:
    """All of it; nobody is told to try again later what can never be."""
    monkeypatch.setattr(chat_state, "Outbox", outbox)
    with inside() as (session, _, console):
        with pytest.raises(InputRejectedError):
            session.input.handle_paste(["one", "two", "three"])
        assert console.next() == f"!!! not accepted: {reason}; they stay below, send fewer"
        assert session.unsent == []


def test_paste_that_is_too_much_now_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, if not all of it can wait beside what waits already."""
    monkeypatch.setattr(chat_state, "Outbox", lambda: Outbox(lines=3))
    with inside() as (session, _, console):
        session.input.handle_line("one")
        with pytest.raises(InputRejectedError):
            session.input.handle_paste(["two", "three", "four"])
        assert console.next().startswith("!!! not accepted: 1 line is waiting to be sent, and 3 more are too many")
        assert session.unsent == ["one"]


# --------------------------------------------------------------------------------------------------------- completion


def test_names_are_asked_for_silently() -> None:
    """Neither the question nor its answer is shown; whoever typed it sees it."""
    with visiting_server(asks=True, curious=True) as (session, server, console):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.greet()
            peer.send("/welcome alice red token 0", "/entered lobby 0 3 -")
        rows = [
            "/person alice red lobby 0",
            "/person bob blue lobby 5",
            "/person carol pink lobby 9",
            "/proven bob",
            "/end who",
        ]
        peer.answer_command("/who", *rows)
        console.drain("3 people")
        wait_until(lambda: len(session.members()) == 2)
        assert [candidate.text for candidate in session.input.complete("ca").candidates] == ["carol: "]
        session.input.handle_line("/who")
        peer.answer_command("/who", *rows)
        assert console.next() == "--- alice in lobby, idle 0 s"


def test_rooms_are_asked_for_when_one_is_typed() -> None:
    """Once in a while, and silently."""
    with visiting_server(asks=True, curious=True) as (session, server, console):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.admit()
        console.drain("1 person")
        session.input.complete("hello")
        session.input.complete("/join o")
        peer.answer_command("/list", "/room lobby 1 -", "/room ops 2 locked", "/end list")
        wait_until(lambda: session.input.complete("/join o").candidates != ())
        assert [candidate.text for candidate in session.input.complete("/join o").candidates] == ["ops"]
        session.input.handle_line("hello")
        assert peer.receive() == "/post 1 hello"
        assert console.shown.empty()


# ------------------------------------------------------------------------------------------------------------ the past


def test_past_is_not_shown_where_nobody_wants_it() -> None:
    """What is asked for is, what is missed is, and what happens."""
    with visiting_server(past=False) as (session, server, console):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.greet()
            peer.send("/welcome alice red token 0", "/entered lobby 1 2 -", said(1, "past"), said(2, "now"))
        console.drain("2 people")
        assert console.next().endswith("bob: now")
        session.input.handle_line("/history")
        peer.answer_command("/history", said(1, "past"), said(2, "now"), "/end history")
        assert [console.next()[6:] for _ in range(2)] == ["bob: past", "bob: now"]


@pytest.mark.usefixtures("soon")
def test_past_that_is_wanted_is_fetched() -> None:
    """All of it, in order, once; a lost connection changes nothing."""
    with visiting_server(past=False, since=Since(seq=1)) as (session, server, console):
        peer = server.accept()
        with signing_in(session, Name("alice", "red")):
            peer.greet()
            peer.send("/welcome alice red token 0", "/entered lobby 4 2 -", said(3, "three"), said(4, "four"))
        assert peer.receive() == "/history 3 5"
        peer.close()
        peer = server.accept()
        peer.admit_resumed("/resume token lobby 4", 0, "/entered lobby 5 2 -", said(5, "five"))
        peer.answer_command("/history 4 6", *(said(seq, f"line {seq}") for seq in range(2, 6)), "/end history")
        console.drain("2 people")
        assert [console.next()[6:] for _ in range(4)] == [f"bob: line {seq}" for seq in range(2, 6)]
        peer.send(said(6, "now"))
        assert console.next().endswith("bob: now")


# ------------------------------------------------------------------------------------------------------------ colours


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
