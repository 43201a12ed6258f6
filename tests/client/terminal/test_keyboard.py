"""Responses and focus events of a terminal: they are not typed text, and no key is lost."""

from pathlib import Path

import pytest

from testing.terminal import BACKGROUND_QUERY, ENTER, FOCUS_IN, FOCUS_OUT, Terminal
from tests.client.terminal.screen_runs import PROMPT, running

LATE_RESPONSE = "\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?62;22c"


@pytest.mark.parametrize("cut", [len(LATE_RESPONSE), 1, 4, 9, len(LATE_RESPONSE) - 1])
def test_late_response(tmp_path: Path, cut: int) -> None:
    """It is not typed text, even in two parts, and the colours are right from then on."""
    with running(tmp_path) as terminal:
        terminal.silent = True
        terminal.wait_for_input(PROMPT)
        terminal.type("/said one" + ENTER)
        terminal.wait_for("bob: one")
        before = terminal.color_of("bob")
        terminal.type("/clear" + ENTER + LATE_RESPONSE[:cut])
        terminal.wait(lambda: terminal.rows[0] == PROMPT, "an empty screen")
        terminal.type(LATE_RESPONSE[cut:] + "/said two" + ENTER + "x")
        terminal.wait_for("bob: two")
        terminal.wait_for_input("lobby> x")
        assert terminal.color_of("bob") != before


def test_keys_during_the_query(tmp_path: Path) -> None:
    """They are not lost."""
    with running(tmp_path) as terminal:
        terminal.silent = True
        terminal.wait(lambda: BACKGROUND_QUERY in terminal.raw, "the question")
        terminal.type("early" + ENTER + "bird")
        terminal.wait_for("--- line early")
        terminal.wait_for_input("lobby> bird")


def test_alert_with_focus(chat: Terminal) -> None:
    """The bell does not ring, and focus events are not typed text."""
    chat.type(FOCUS_OUT + FOCUS_IN + "/alert one" + ENTER + "x")
    chat.wait_for("12:00 bob: one")
    chat.wait_for_input("lobby> x")
    assert chat.screen.bells == 0
