"""The terminal's modes and background: what it is asked, its colours, and how it is restored and suspended."""

import re
import signal
import termios
from pathlib import Path
from typing import Any

import pytest

from hubbub import color
from testing.terminal import BACKGROUND_QUERY, CTRL_C, CTRL_D, CTRL_Z, ENTER, FOCUS_OUT, TAB, Terminal, environment
from tests.client.terminal.screen_runs import PROMPT, chatting, running

WHITE, BLACK = "rgb:ffff/ffff/ffff", "rgb:0000/0000/0000"


def color_of_bob(tmp_path: Path, background: str) -> str:
    """Return the colour of a name on a terminal that reports its background."""
    with running(tmp_path) as terminal:
        terminal.background = background
        terminal.wait_for_input(PROMPT)
        terminal.type("/said hi" + ENTER)
        terminal.wait_for("12:00 bob: hi")
        return terminal.color_of("bob")


def test_colors_fit_the_background(tmp_path: Path) -> None:
    """The shades on white differ from those on black."""
    assert color_of_bob(tmp_path, WHITE) != color_of_bob(tmp_path, BLACK)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "linux")])
def test_terminal_that_is_not_queried(tmp_path: Path, name: str, value: str) -> None:
    """Without colours the response is not needed; the Linux console would print the query."""
    changes: dict[str, Any] = {name: value}
    with chatting(tmp_path, **changes) as terminal:
        assert BACKGROUND_QUERY not in terminal.raw


def test_no_color(tmp_path: Path) -> None:
    """NO_COLOR leaves no colour code, and the selected candidate is still visible."""
    with chatting(tmp_path, NO_COLOR="1") as terminal:
        terminal.type("ca")
        terminal.wait_for_input("lobby> ca")  # a hint could not be told from what is typed
        terminal.type(CTRL_C + "/m" + TAB)
        terminal.wait_for("> /me ")
        terminal.type(CTRL_C + "/alert hi" + ENTER)
        terminal.wait_for("12:00 bob: hi")
        assert re.findall(rb"\x1b\[[0-9;]*m", terminal.raw) == []


def assert_restored(terminal: Terminal) -> None:
    """Check that the terminal has its old settings, and that everything enabled is disabled again."""
    assert terminal.settings() == terminal.settings_before
    for code in (color.DISABLE_FOCUS_EVENTS.encode(), b"\x1b[?2004l", color.RESTORE_TITLE.encode()):
        assert terminal.raw.count(code) == 1
    assert not terminal.screen.cursor.hidden


def test_leaving_restores_the_terminal(chat: Terminal) -> None:
    """The lines of the chat stay on the screen, without the prompt."""
    chat.type("draft" + CTRL_C + CTRL_D)
    assert chat.wait_for_exit() == 0
    assert_restored(chat)
    assert [row for row in chat.rows if row] == ["--- what came before", "left"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_restores_the_terminal(chat: Terminal, number: signal.Signals) -> None:
    """Also while a line is being typed."""
    chat.type("draft")
    chat.wait_for_input("lobby> draft")
    chat.kill(number)
    assert chat.wait_for_exit() == 128 + number
    assert_restored(chat)


def test_stop_restores_the_terminal(chat: Terminal) -> None:
    """`Screen.stop` ends the reading."""
    chat.type("/stop" + ENTER)
    assert chat.wait_for_exit() == 1
    assert_restored(chat)


def test_exception_restores_the_terminal(chat: Terminal) -> None:
    """It ends the program, with its traceback on the restored terminal."""
    chat.type("/fail by design" + ENTER)
    assert chat.wait_for_exit() == 1
    assert_restored(chat)
    assert "RuntimeError: by design" in chat.text


def test_lost_terminal(tmp_path: Path) -> None:
    """The reading ends as if the user had left, even where no signal reports the loss."""
    with chatting(tmp_path, "deaf") as terminal:
        assert terminal.hang_up() == 0


def test_suspend_and_continue(tmp_path: Path) -> None:
    """Ctrl-Z restores the terminal, and `fg` shows the prompt again with the line being typed."""
    with Terminal(
        "testing/job_control.py", ["tests/client/terminal/screen_driver.py"], environment(tmp_path)
    ) as terminal:
        terminal.wait_for_input(PROMPT)
        taken = terminal.settings()
        terminal.type("draft" + CTRL_Z)
        terminal.wait_for("stopped")
        assert_restored(terminal)
        assert terminal.settings()[3] & termios.ECHO
        terminal.type("fg\n")
        terminal.wait_for_input("lobby> draft")
        assert terminal.settings() == taken
        terminal.type("!" + FOCUS_OUT + ENTER)
        terminal.wait_for("--- line draft!")
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0
        assert terminal.settings() == terminal.settings_before


def test_between_prompt_and_chat(tmp_path: Path) -> None:
    """No keys are read, so Ctrl-C is a signal; keys are not echoed, and the terminal is restored."""
    with running(tmp_path, "ask", "wait") as terminal:
        terminal.wait_for("Username:")
        terminal.type("alice" + ENTER)
        terminal.wait_for("--- answer alice")
        terminal.type("early" + CTRL_C)
        assert terminal.wait_for_exit() == 130
        assert_restored(terminal)
        assert "early" not in terminal.text
