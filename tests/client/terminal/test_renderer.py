"""The lines above the prompt on a pseudo-terminal: floods, resizes, redraws and clearing."""

from testing.terminal import CTRL_L, ENTER, Terminal
from tests.client.terminal.screen_runs import PROMPT, STATUS


def test_many_lines(chat: Terminal) -> None:
    """Each is shown once and in order, above the prompt."""
    chat.type("/flood 1000" + ENTER)
    chat.wait_for("--- flooded")
    chat.wait_for_input(PROMPT)
    shown = [row for row in chat.all_rows if "message" in row]
    assert shown == [f"12:00 bob: message {number} of 1000 that is here" for number in range(1, 1001)]


def test_resize_while_lines_arrive(chat: Terminal) -> None:
    """In the end the last lines are wrapped to the new width with a hanging indent, above one prompt."""
    chat.type("/flood 3000" + ENTER)
    for rows, columns in ((30, 100), (8, 40), (12, 25), (10, 30)):
        chat.wait_for("message")
        chat.resize(rows, columns)
    expected = [
        "           that is here",
        "12:00 bob: message 2999 of",
        "           3000 that is here",
        "12:00 bob: message 3000 of",
        "           3000 that is here",
        "--- flooded",
        PROMPT,
        STATUS,
    ]
    chat.wait(lambda: [row for row in chat.rows if row][-7:] == expected[-7:], "the last lines")


def test_resize_with_a_draft(chat: Terminal) -> None:
    """The draft stays, and the lines are wrapped to the new width."""
    chat.type("/said these are some words" + ENTER + "a draft")
    chat.wait_for("12:00 bob: these are some words")
    chat.resize(24, 24)
    chat.wait_for("12:00 bob: these are\n           some words\nlobby> a draft")
    chat.resize(24, 60)
    chat.wait_for("12:00 bob: these are some words\nlobby> a draft")
    assert chat.text.count("what came before") == 1


def test_redraw(chat: Terminal) -> None:
    """Ctrl-L repairs a screen that another program has written on."""
    chat.type("hi" + ENTER)
    chat.wait_for("--- line hi")
    chat.screen.reset()
    chat.type(CTRL_L)
    chat.wait_for(f"--- what came before\n--- line hi\nlobby>\n{STATUS}")


def test_clear(chat: Terminal) -> None:
    """The scrollback is cleared too, and a resize brings nothing back."""
    chat.type("/flood 50" + ENTER)
    chat.wait_for("--- flooded")
    chat.type("/clear" + ENTER)
    chat.wait(lambda: chat.rows[:2] == [PROMPT, STATUS], "an empty screen")
    chat.resize(20, 70)
    chat.type("hi" + ENTER)
    chat.wait(lambda: chat.rows[:3] == ["--- line hi", PROMPT, STATUS], "the new line alone")
    assert not any("message" in row for row in chat.all_rows)


def test_held_presence_line_is_shown_later(chat: Terminal) -> None:
    """No key needs to be pressed."""
    chat.type("/joined bob" + ENTER + "/joined carol" + ENTER)
    chat.wait_for("carol joined")
