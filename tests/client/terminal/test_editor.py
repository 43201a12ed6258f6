"""The line editor on a pseudo-terminal: typing, suggestions, unsent lines and small screens."""

import pytest

from testing.terminal import (
    CTRL_C,
    CTRL_E,
    CTRL_R,
    CTRL_UNDERSCORE,
    DOWN,
    ENTER,
    PAGE_DOWN,
    PAGE_UP,
    RIGHT,
    UP,
    Terminal,
)
from tests.client.terminal.screen_runs import PROMPT, STATUS, wait_below


def test_typed_line_goes_to_the_handler(chat: Terminal) -> None:
    """The input is empty again."""
    chat.type("hi there" + ENTER)
    chat.wait_for("--- line hi there")
    chat.wait_for_input(PROMPT)
    wait_below(chat, STATUS)


def test_up_recalls_earlier_lines(chat: Terminal) -> None:
    """Down goes forward again."""
    chat.type("one" + ENTER + "two" + ENTER)
    chat.wait_for("--- line two")
    chat.type(UP + UP)
    chat.wait_for_input("lobby> one")
    chat.type(DOWN)
    chat.wait_for_input("lobby> two")


def test_page_keys_recall_no_line(chat: Terminal) -> None:
    """They do nothing."""
    chat.type("one" + ENTER)
    chat.wait_for("--- line one")
    chat.type(PAGE_UP + "x")
    chat.wait_for_input("lobby> x")
    chat.type(UP + PAGE_DOWN + "!")
    chat.wait_for_input("lobby> one!")


def test_history_search(chat: Terminal) -> None:
    """Ctrl-R finds a line by a part of it."""
    chat.type("first words" + ENTER + "second" + ENTER)
    chat.wait_for("--- line second")
    chat.type(CTRL_R + "wor")
    chat.wait_for("I-search backward: wor")
    chat.type(ENTER)
    chat.wait_for_input("lobby> first words")


def test_undo(chat: Terminal) -> None:
    """Ctrl-_ restores what Ctrl-W deleted."""
    chat.type("one two\x17")
    chat.wait_for_input("lobby> one")
    chat.type(CTRL_UNDERSCORE)
    chat.wait_for_input("lobby> one two")


@pytest.mark.parametrize("back", ["\x1bb", "\x1b[1;3D", "\x1b[1;5D"])
def test_keys_that_move_by_a_word(chat: Terminal, back: str) -> None:
    """Alt-B, Alt-Left and Ctrl-Left go to the beginning of the word."""
    chat.type(f"one two{back}X")
    chat.wait_for_input("lobby> one Xtwo")


def test_rejected_line_stays_in_the_input(chat: Terminal) -> None:
    """The user can send it again later."""
    chat.type("/full" + ENTER + "a draft" + ENTER)
    chat.wait_for("--- not taken")
    chat.wait_for_input("lobby> a draft")


def test_ctrl_c_clears_the_line_and_then_leaves(chat: Terminal) -> None:
    """It leaves only on an empty line, where it is pressed twice."""
    chat.type("a draft" + CTRL_C)
    chat.wait_for_input(PROMPT)
    chat.type(CTRL_C)
    wait_below(chat, "Press Ctrl-C again to leave")
    chat.type(CTRL_C)
    assert chat.wait_for_exit() == 0


def test_ctrl_c_once_does_not_leave(chat: Terminal) -> None:
    """After two seconds the client asks again."""
    chat.type(CTRL_C)
    wait_below(chat, "Press Ctrl-C again to leave")
    wait_below(chat, STATUS)
    chat.type(CTRL_C)
    wait_below(chat, "Press Ctrl-C again to leave")
    chat.type("still here" + ENTER)
    chat.wait_for("--- line still here")


def test_unsent_lines_are_above_the_input(chat: Terminal) -> None:
    """One row each."""
    chat.type("/unsent one two" + ENTER)
    chat.wait_for("… one\n… two\nlobby>")


@pytest.mark.parametrize("key", [RIGHT, CTRL_E])
def test_suggestion_is_accepted(chat: Terminal, key: str) -> None:
    """It stands behind the cursor; Right or Ctrl-E makes it a part of the line."""
    chat.type("hi ca")
    chat.wait_for_input("lobby> hi carol")
    assert chat.screen.cursor.x == len("lobby> hi ca")
    chat.type(f"{key}!{ENTER}")
    chat.wait_for("--- line hi carol!")


def test_suggestion_is_not_accepted(chat: Terminal) -> None:
    """It is not sent."""
    chat.type("ca")
    chat.wait_for_input("lobby> carol")
    chat.type(ENTER)
    chat.wait_for("--- line ca\n")
