"""Input lines: which are sent, which are carried out by the client, and which are refused."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hubbub.client import input as input_module
from hubbub.client.commands import GENERAL_COMMANDS, KEYS, MORE_HELP, OPERATOR_COMMANDS
from hubbub.client.output.styled_line import Span
from hubbub.client.output.ui import InputRejectedError
from hubbub.client.state import chat_state
from hubbub.client.state.notification import Age
from hubbub.client.state.outbox import Outbox
from hubbub.client.state.settings import SettingsFile
from testing.client_runs import NOON
from testing.waiting import eventually
from tests.client.session_driver import (
    said,
    signed_in,
    signed_in_server,
)


def test_full_outbox_rejects_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says why, and the line stays in the editor."""
    monkeypatch.setattr(chat_state, "Outbox", lambda: Outbox(lines=1))
    with signed_in() as (session, _, ui):
        session.input.handle_line("one")
        with pytest.raises(InputRejectedError):
            session.input.handle_line("two")
        assert ui.next_line().startswith("!!! not accepted: 1 line is waiting to be sent, and no more can")
        assert session.unsent == ["one"]


def test_blank_line_does_nothing() -> None:
    """Neither does one of spaces."""
    with signed_in() as (session, peer, _):
        assert session.input.handle_line("")
        assert session.input.handle_line("  \t")
        assert session.input.handle_line("text")
        assert peer.receive() == "/post 1 text"


def test_typed_text_is_cleaned() -> None:
    """Control characters of a paste are not sent."""
    with signed_in() as (session, peer, _):
        session.input.handle_line("a\x1b[31m\u202eb")
        assert peer.receive() == "/post 1 a[31mb"


@pytest.mark.parametrize("line", ["/post 7 text", "/resume token lobby 0"])
def test_commands_between_programs_cannot_be_typed(line: str) -> None:
    """The client numbers posts and resumes sessions itself."""
    with signed_in() as (session, _, ui):
        session.input.handle_line(line)
        assert ui.next_line().startswith("!!! there is no command /")


def test_queries_need_a_connection() -> None:
    """They are refused at once; /help is not."""
    with signed_in() as (session, peer, ui):
        peer.close()
        assert eventually(lambda: session.status().connection != "connected")
        for line in ("/list", "/who", "/history", "/msg bob psst"):
            session.input.handle_line(line)
            assert ui.next_line() == f"!!! not sent, because you are offline: {line}; press Up to get it back"
        session.input.handle_line("/help join")
        assert ui.next_line() == "--- /join ROOM [KEY]  enter ROOM, or create it; KEY locks a new one"
        assert ui.next_line() == "--- A locked room opens with its KEY only."
        session.input.handle_line("/help jion")
        assert ui.next_line().startswith("!!! there is no command /jion")


def test_exit_waits_for_acknowledgements() -> None:
    """The server needs a moment."""
    with signed_in() as (session, peer, _):
        session.input.handle_line("hello")
        acknowledging = threading.Timer(0.1, peer.send, ["/ack 1"])
        acknowledging.start()
        assert not session.input.handle_line("/exit")
        acknowledging.join()


def test_exit_with_unsent_lines_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second /exit leaves; any other line starts that again."""
    monkeypatch.setattr(input_module, "EXIT_SECONDS", 0.01)
    with signed_in() as (session, _, ui):
        session.input.handle_line("hello")
        assert session.input.handle_line("/exit")
        assert ui.next_line() == "!!! 1 line is unsent. /exit again discards it"
        session.input.handle_line("hello?")
        assert session.input.handle_line("/exit")
        assert ui.next_line() == "!!! 2 lines are unsent. /exit again discards them"
        assert not session.input.handle_line("/exit")


def test_line_that_may_lock_a_room_is_sent_when_repeated() -> None:
    """A second word was perhaps not meant as a key; another line between the two starts that again."""
    with signed_in() as (session, peer, ui):
        for line in ("/join dev team", "hello", "/join dev team"):
            if line == "hello":
                session.input.handle_line(line)
                peer.acknowledge("1 hello")
                continue
            with pytest.raises(InputRejectedError):
                session.input.handle_line(line)
            assert ui.next_line() == "!!! if dev is new, this locks it with a key; send the line again to go on"
        session.input.handle_line("/join dev team")
        peer.answer_command("/join dev team", "/entered dev 0 1 -")


def test_room_that_is_locked_opens_without_a_warning() -> None:
    """Where the list of rooms shows it."""
    with signed_in_server(look_up_names=True) as (session, _, peer, _):
        session.rooms()
        peer.answer_command("/list", "/room dev 2 locked", "/end list")
        assert eventually(lambda: any(row.locked for row in session.rooms()))
        session.input.handle_line("/join DEV team")
        assert peer.receive() == "/join DEV team"


def test_pipe_locks_a_room_without_a_warning() -> None:
    """No user could repeat the line."""
    with signed_in(interactive=False) as (session, peer, _):
        session.input.handle_line_and_wait("/join dev team")
        assert peer.receive() == "/join dev team"


def test_reply_goes_to_the_last_sender() -> None:
    """Before the first private message there is none."""
    with signed_in() as (session, peer, ui):
        session.input.handle_line("/r hello")
        assert ui.next_line().startswith("!!! no one has sent you a private message yet")
        peer.send(f"/msg {NOON} bob blue alice psst", f"/msg {NOON} carol blue alice hey")
        ui.skip_to("hey")
        session.input.handle_line("/r what?")
        assert peer.receive() == "/msg carol what?"


def test_ignored_user_is_hidden() -> None:
    """Now and in later runs, until /unignore."""
    with signed_in() as (session, peer, ui):
        for line, answer in [
            ("/ignore", "--- you ignore no one"),
            ("/ignore alice", "!!! you cannot ignore yourself; /ignore NAME hides the messages of another user"),
            ("/unignore bob", "!!! you do not ignore bob; /ignore lists the names that you ignore"),
            ("/ignore Bob", "--- messages from Bob are hidden; /unignore Bob shows them again"),
            ("/ignore", "--- you ignore Bob"),
        ]:
            session.input.handle_line(line)
            assert ui.next_line() == answer
        peer.send(said(1, "one"), f"/say lobby 2 {NOON} carol red two")
        assert ui.next_line().endswith("carol: two")
        assert SettingsFile(Path(session.folder.name), pytest.fail).load().ignored == ("Bob",)
        session.input.handle_line("/unignore BOB")
        assert ui.next_line() == "--- messages from BOB are shown again"
        peer.send(said(3, "three"))
        assert ui.next_line().endswith("bob: three")
        assert SettingsFile(Path(session.folder.name), pytest.fail).load().ignored == ()


def test_settings_that_cannot_be_written_hold_for_this_run() -> None:
    """The user is told."""
    with signed_in() as (session, peer, ui):
        (Path(session.folder.name) / "settings.json").mkdir()
        session.input.handle_line("/ignore bob")
        assert "this holds only until you leave" in ui.next_line()
        assert ui.next_line().startswith("--- messages from bob are hidden")
        peer.send(said(1, "one"), f"/say lobby 2 {NOON} carol red two")
        assert ui.next_line().endswith("carol: two")


def test_mentions_are_shown_again() -> None:
    """By room, and without ringing."""
    with signed_in() as (session, peer, ui):
        session.input.handle_line("/mentions")
        assert ui.next_line() == "--- none of the lines shown here mentions you"
        peer.send(said(1, "alice?"), said(2, "nobody"), f"/msg {NOON} bob blue alice psst")
        ui.skip_to("psst")
        assert [news.alert for news in ui.notifications[-3:]] == [True, False, True]
        session.input.handle_line("/mentions")
        shown = [ui.next_line() for _ in range(4)]
        assert shown == ["--- in lobby:", "12:00 bob: alice?", "--- private messages:", "12:00 [bob -> alice] psst"]
        assert [(news.age, news.alert) for news in ui.notifications if news.age is Age.PAST] == [(Age.PAST, False)] * 2


def test_notify_sets_when_a_room_rings() -> None:
    """It is stored, and does not concern other rooms."""
    with signed_in() as (session, peer, ui):
        for line, answer in [
            ("/notify", "--- a line in lobby rings the bell if it contains your name"),
            ("/notify ALL", "--- every line in lobby rings the bell"),
            ("/notify some", "!!! usage: /notify [all|mention|off]"),
        ]:
            session.input.handle_line(line)
            assert ui.next_line() == answer
        peer.send(said(1, "one"))
        ui.skip_to("one")
        assert ui.notifications[-1].alert
        assert SettingsFile(Path(session.folder.name), pytest.fail).load().notify == {"lobby": "all"}


def test_clear_empties_the_screen() -> None:
    """The user interface does it."""
    with signed_in() as (session, _, ui):
        session.input.handle_line("/clear")
        assert ui.next_line() == "cleared"


def test_color_alone_shows_the_chart() -> None:
    """With the user's own colour; each name is in its colour."""
    with signed_in() as (session, _, ui):
        session.input.handle_line("/color")
        assert ui.next_line() == "--- your colour is red; /color takes a name or a number:"
        assert [ui.next_line()[:25] for _ in range(3)] == [
            " 1 black        2 white  ",
            " 5 orange       6 yellow ",
            " 9 teal        10 light b",
        ]
        assert Span("teal", "teal") in ui.lines[-1].body


def test_color_alone_lists_the_colors_in_a_pipe() -> None:
    """With the user's own."""
    with signed_in(interactive=False) as (session, _, ui):
        session.input.handle_line("/color")
        colors = "black, white, pink, red, orange, yellow, green, cyan, teal, light-blue, blue, purple"
        assert ui.next_line() == f"--- your colour is red; /color takes one of {colors}"


def test_help_needs_no_server() -> None:
    """It shows what users type, and nothing for programs; operators' commands are apart."""
    with signed_in() as (session, _, ui):
        for line, rows, others in [
            ("/help", GENERAL_COMMANDS, [f"--- {MORE_HELP}", f"--- {KEYS}"]),
            ("/help operators", OPERATOR_COMMANDS, []),
            ("/help quit", ["exit"], ["--- also typed /quit"]),
        ]:
            session.input.handle_line(line)
            assert [ui.next_line().split()[1] for _ in rows] == [f"/{word}" for word in rows]
            assert [ui.next_line() for _ in others] == others
        session.input.handle_line("/help jion")
        assert ui.next_line().startswith("!!! there is no command /jion; did you mean /join?")


def test_pasted_lines_are_text() -> None:
    """In order, whatever they begin with; blank ones are left out."""
    with signed_in() as (session, peer, _):
        session.input.handle_paste(["/exit", "", "	//two", "three"])
        peer.acknowledge("1 //exit", "2  //two", "3 three")


def test_paste_with_a_line_too_long_is_rejected() -> None:
    """As a whole; the error names the line."""
    with signed_in() as (session, peer, ui):
        with pytest.raises(InputRejectedError):
            session.input.handle_paste(["one", "x" * 2_001])
        assert ui.next_line().startswith("!!! nothing was sent, because of line 2: a message has at most 2000")
        session.input.handle_paste(["later"])
        peer.acknowledge("1 later")


@pytest.mark.parametrize(
    ("outbox", "reason"),
    [
        (lambda: Outbox(lines=2), "at most 2 lines can be sent at once, and these are 3"),
        (lambda: Outbox(size=6), "at most 6 bytes can be sent at once, and these lines are more"),
    ],
)
def test_paste_that_is_always_too_much_is_rejected(
    monkeypatch: pytest.MonkeyPatch, outbox: Callable[[], Outbox], reason: str
) -> None:
    """As a whole, and without the advice to try again."""
    monkeypatch.setattr(chat_state, "Outbox", outbox)
    with signed_in() as (session, _, ui):
        with pytest.raises(InputRejectedError):
            session.input.handle_paste(["one", "two", "three"])
        assert ui.next_line() == f"!!! not accepted: {reason}; they stay below, send fewer"
        assert session.unsent == []


def test_paste_that_is_too_much_now_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole, if it does not fit beside what waits."""
    monkeypatch.setattr(chat_state, "Outbox", lambda: Outbox(lines=3))
    with signed_in() as (session, _, ui):
        session.input.handle_line("one")
        with pytest.raises(InputRejectedError):
            session.input.handle_paste(["two", "three", "four"])
        assert ui.next_line().startswith("!!! not accepted: 1 line is waiting to be sent, and 3 more are too many")
        assert session.unsent == ["one"]
