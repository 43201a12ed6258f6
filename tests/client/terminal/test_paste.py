"""Pasting into the editor on a pseudo-terminal: one line, a few lines, and many lines with their prompt."""

from pathlib import Path

import pytest

from testing.terminal import CTRL_C, ENTER, ESCAPE, TAB, Terminal
from tests.client.terminal.screen_runs import PROMPT, STATUS, chatting, wait_below


def test_pasted_line(chat: Terminal) -> None:
    """It is inserted at the cursor, and its line end sends nothing."""
    chat.type("see ")
    chat.paste("one thing\r")
    chat.wait_for_input("lobby> see one thing")
    chat.type("!" + ENTER)
    chat.wait_for("--- line see one thing!")


@pytest.mark.parametrize("pasted", ["/exit", "\x00/exit", "\u202e/exit"])
def test_pasted_command_is_text(chat: Terminal, pasted: str) -> None:
    """The added slash shows that."""
    chat.paste(pasted)
    chat.wait_for_input("lobby> //exit")
    chat.type(ENTER)
    chat.wait_for("--- line //exit")


def test_slash_pasted_into_a_line(chat: Terminal) -> None:
    """No slash is added."""
    chat.type("in ")
    chat.paste("/etc")
    chat.wait_for_input("lobby> in /etc")


def test_few_pasted_lines(chat: Terminal) -> None:
    """They are shown below each other, and Enter posts them all."""
    chat.paste("one\r\n/two\n\n//three\n")
    chat.wait_for("lobby> one\n       //two\n       ///three")
    chat.type(ENTER)
    chat.wait_for("--- text one|/two|//three")
    chat.wait_for_input(PROMPT)


def test_few_pasted_lines_are_rejected(chat: Terminal) -> None:
    """They all stay in the input."""
    chat.type("/full" + ENTER)
    chat.paste("one\n/two")
    chat.type(ENTER)
    chat.wait_for("--- not taken\nlobby> one\n       //two")


MANY = "\n".join(["/first", *(f"row {number}" for number in range(2, 13))])
SAID = "--- text /first|row 2|row 3|row 4|row 5|row 6|row 7|row 8|row 9|row 10|row"


def paste_many_lines(terminal: Terminal) -> None:
    """Type a draft, paste many lines, and wait for the prompt about them."""
    terminal.type("draft")
    terminal.paste(MANY)
    wait_below(terminal, "send 12 lines? s: send · e: edit · c: cancel (Esc)", "/first", STATUS)


def test_many_pasted_lines_are_sent(chat: Terminal) -> None:
    """They are posted after one prompt; a draft stays in the input."""
    paste_many_lines(chat)
    chat.type("xs")
    chat.wait_for(SAID)
    chat.wait_for_input("lobby> draft")


def test_many_pasted_lines_are_edited(chat: Terminal) -> None:
    """They are inserted into the input, which takes at most half of the screen."""
    paste_many_lines(chat)
    chat.type("e")
    chat.wait(lambda: chat.input_row == "       row 12", "the last line")
    assert "row 2" not in chat.rows
    chat.type(ENTER)
    chat.wait_for("--- text draft/first|row 2|")


@pytest.mark.parametrize("key", ["c", ESCAPE, CTRL_C])
def test_many_pasted_lines_are_discarded(chat: Terminal, key: str) -> None:
    """Only the draft is left."""
    paste_many_lines(chat)
    chat.type(key)
    wait_below(chat, STATUS)
    chat.type(ENTER)
    chat.wait_for("--- line draft\n")


def test_many_pasted_lines_are_rejected(chat: Terminal) -> None:
    """They are inserted into the input."""
    chat.type("/full" + ENTER)
    chat.paste(MANY)
    chat.wait_for("send 12 lines?")
    chat.type("s")
    chat.wait_for("--- not taken")
    chat.wait(lambda: chat.input_row == "       row 12", "the last line")


def test_twenty_columns(tmp_path: Path) -> None:
    """Status and menu are truncated, and the prompt about pasted lines has a short form."""
    with chatting(tmp_path, columns=20) as terminal:
        terminal.type("/le")
        wait_below(terminal, "  /leave  back to t…", "lobby · 3 people · …")
        terminal.type(CTRL_C)
        terminal.paste(MANY)
        wait_below(terminal, "send 12 lines?", "s send e edit c drop", "/first", "lobby · 3 people · …")
        terminal.type("c/room " + "r" * 32 + ENTER + "what I say is long" + ENTER)
        terminal.wait_for("rrrrrrr…>")
        terminal.wait_for("--- line what I say\n    is long")


def test_five_rows(tmp_path: Path) -> None:
    """The menu has the rows that are left; the input and the status stay."""
    with chatting(tmp_path, rows=5) as terminal:
        terminal.type("/unsent 1 2 3 4 5 6 7" + ENTER + "/")
        terminal.wait_for_input("lobby> /")
        terminal.wait(lambda: terminal.rows[-1].startswith(STATUS), "the status")
        terminal.type(TAB)
        terminal.wait_for("> /join")
        terminal.type(CTRL_C)
        terminal.paste(MANY)
        terminal.wait_for("send 12 lines?")
        terminal.type("e")
        terminal.wait(lambda: terminal.input_row == "       row 12", "the last line")
        assert "too small" not in terminal.text
