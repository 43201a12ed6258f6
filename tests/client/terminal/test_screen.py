"""The line editor and what arrives above it, on a real pseudo-terminal whose screen is read back."""

import re
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hubbub import color
from hubbub.client.terminal.completion_menu import cut
from testing.terminal import (
    BACKGROUND_QUERY,
    BACKSPACE,
    CTRL_B,
    CTRL_C,
    CTRL_D,
    CTRL_E,
    CTRL_F,
    CTRL_H,
    CTRL_L,
    CTRL_R,
    CTRL_T,
    CTRL_UNDERSCORE,
    CTRL_Z,
    DELETE,
    DOWN,
    ENTER,
    ESCAPE,
    FOCUS_IN,
    FOCUS_OUT,
    HOME,
    LEFT,
    RIGHT,
    SHIFT_TAB,
    TAB,
    UP,
    Terminal,
    environment,
)

PROMPT = "lobby>"
STATUS = "lobby · 3 people · connected"
WHITE, BLACK = "rgb:ffff/ffff/ffff", "rgb:0000/0000/0000"
LATE_ANSWER = f"\x1b]11;{BLACK}\x1b\\\x1b[?62;22c"
HANDED_OVER = b"\x1b[23;2t"  # the last that is written: the title is the terminal's own again


@contextmanager
def running(tmp_path: Path, *arguments: str, rows: int = 24, columns: int = 80, **changes: str) -> Iterator[Terminal]:
    """Run the driver, before it has asked for anything."""
    with Terminal(
        "tests/client/terminal/screen_driver.py", arguments, environment(tmp_path, **changes), rows, columns
    ) as terminal:
        yield terminal


@contextmanager
def chatting(tmp_path: Path, *arguments: str, rows: int = 24, columns: int = 80, **changes: str) -> Iterator[Terminal]:
    """Run the driver, and wait for its prompt."""
    with running(tmp_path, *arguments, rows=rows, columns=columns, **changes) as terminal:
        terminal.wait_for("--- what came before")
        terminal.wait_for_input(PROMPT)
        yield terminal


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Terminal]:
    """Return a terminal of the usual size, with the prompt on it."""
    with chatting(tmp_path) as terminal:
        yield terminal


def below_prompt(terminal: Terminal) -> list[str]:
    """Return the rows below the one with the cursor, without empty ones."""
    return [row for row in terminal.rows[terminal.screen.cursor.y + 1 :] if row]


def wait_below(terminal: Terminal, *rows: str) -> None:
    """Wait until exactly these rows stand below the cursor's."""
    terminal.wait(lambda: below_prompt(terminal) == [*rows], f"below the input {rows}")


# ----------------------------------------------------------------------------------------------------- the line


def test_a_line_is_typed(chat: Terminal) -> None:
    """It goes to the desk, and the input is empty again."""
    chat.type("hi there" + ENTER)
    chat.wait_for("--- line hi there")
    chat.wait_for_input(PROMPT)
    wait_below(chat, STATUS)


def test_lines_typed_before_come_back(chat: Terminal) -> None:
    """Up brings the last one."""
    chat.type("one" + ENTER + "two" + ENTER)
    chat.wait_for("--- line two")
    chat.type(UP + UP)
    chat.wait_for_input("lobby> one")
    chat.type(DOWN)
    chat.wait_for_input("lobby> two")


def test_the_search_of_old_lines(chat: Terminal) -> None:
    """Ctrl-R finds one by a part of it."""
    chat.type("first words" + ENTER + "second" + ENTER)
    chat.wait_for("--- line second")
    chat.type(CTRL_R + "wor")
    chat.wait_for("I-search backward: wor")
    chat.type(ENTER)
    chat.wait_for_input("lobby> first words")


def test_undo(chat: Terminal) -> None:
    """Ctrl-_ takes back what Ctrl-W took away."""
    chat.type("one two\x17")
    chat.wait_for_input("lobby> one")
    chat.type(CTRL_UNDERSCORE)
    chat.wait_for_input("lobby> one two")


@pytest.mark.parametrize("back", ["\x1bb", "\x1b[1;3D", "\x1b[1;5D"])
def test_word_moves(chat: Terminal, back: str) -> None:
    """Alt-B, Alt-Left and Ctrl-Left go to the beginning of the word."""
    chat.type(f"one two{back}X")
    chat.wait_for_input("lobby> one Xtwo")


def test_a_line_that_is_not_taken(chat: Terminal) -> None:
    """It stays in the input."""
    chat.type("/full" + ENTER + "a draft" + ENTER)
    chat.wait_for("--- not taken")
    chat.wait_for_input("lobby> a draft")


def test_ctrl_c_empties_the_line_and_then_leaves(chat: Terminal) -> None:
    """Only on an empty line it means to leave."""
    chat.type("a draft" + CTRL_C)
    chat.wait_for_input(PROMPT)
    chat.type(CTRL_C)
    assert chat.wait_for_exit() == 0


def test_lines_that_are_not_sent(chat: Terminal) -> None:
    """They stand above the input."""
    chat.type("/unsent one two" + ENTER)
    chat.wait_for("… one\n… two\nlobby>")


# ----------------------------------------------------------------------------------------------------- clusters

FLAG, FAMILY, KEYCAP, KI = "🇩🇪", "👨\u200d👩\u200d👧", "1\ufe0f\u20e3", "कि"


CLUSTER_KEYS = [
    (LEFT + "x", "x{}"),
    (CTRL_B + "x", "x{}"),
    (HOME + RIGHT + "x", "{}x"),
    (HOME + CTRL_F + "x", "{}x"),
    (BACKSPACE + "x", "x"),
    (CTRL_H + "x", "x"),
    (HOME + DELETE + "x", "x"),
    (HOME + CTRL_D + "x", "x"),
    ("x" + CTRL_T, "x{}"),
    (HOME + "x" + CTRL_T, "{}x"),
]


def wait_for_line(terminal: Terminal, line: str) -> None:
    """Wait for a line on any terminal; the one of the tests does not show each cluster."""
    terminal.wait(lambda: f"line {line}\x1b".encode() in terminal.raw, f"the line {line!r}")


@pytest.mark.parametrize("cluster", [FLAG, FAMILY, KEYCAP, KI, "क्षि", "e\u0301"])
def test_a_key_takes_a_whole_cluster(chat: Terminal, cluster: str) -> None:
    """It moves over one, deletes one or swaps it with a letter, and never cuts it apart."""
    for number, (keys, line) in enumerate(CLUSTER_KEYS):
        chat.type(f"{cluster}{keys}{CTRL_E}{number}{ENTER}")
        wait_for_line(chat, f"{line.format(cluster)}{number}")


def test_a_flag_is_typed_before_another(chat: Terminal) -> None:
    """Its first half joins with what follows only until the second half is there."""
    chat.type(FLAG + HOME + "🇪🇺" + ENTER)
    wait_for_line(chat, f"🇪🇺{FLAG}")


@pytest.mark.parametrize(
    ("cluster", "columns"), [(FLAG, 2), (FAMILY, 2), (KEYCAP, 2), (KI, 2), ("क्या", 3), ("e\u0301", 1), ("漢", 2)]
)
def test_a_letter_before_a_cluster(chat: Terminal, cluster: str, columns: int) -> None:
    """The prompt stays, and what follows stands where the cluster ends, even here where it is drawn otherwise."""
    chat.type(f"{cluster}b{cluster}c{HOME}")
    chat.wait(lambda: chat.screen.cursor.x == len("lobby> "), "the cursor")
    chat.type("xy")
    chat.wait(lambda: chat.screen.cursor.x == len("lobby> xy"), "the cursor")
    cells = [chat.screen.buffer[chat.screen.cursor.y][x].data for x in range(80)]
    assert "".join(cells[:9]) == "lobby> xy"
    assert cells[9 + columns] == "b"
    assert cells[9 + columns + 1 + columns] == "c"


@pytest.mark.parametrize("wide", [FLAG, FAMILY, "漢"])
def test_a_line_of_wide_clusters(chat: Terminal, wide: str) -> None:
    """Its rows are full but for the last column, where none fits, and the row with the cursor is shown."""
    chat.type(wide * (3 * 36 + 1))
    chat.wait(lambda: (chat.screen.cursor.y, chat.screen.cursor.x) == (4, 9), "the cursor")
    for y in (1, 2, 3):
        row = chat.screen.buffer[y]
        assert [row[x].data[:1] for x in range(7, 79, 2)] == [wide[:1]] * 36


def test_a_room_with_a_flag(chat: Terminal) -> None:
    """The input and the status begin where its name ends."""
    chat.type(f"/room {FLAG}{KI}{ENTER}")
    chat.wait(lambda: chat.screen.cursor.x == 4 + len("> "), "the new prompt")
    chat.type("b")
    chat.wait(lambda: chat.screen.cursor.x == 4 + len("> b"), "the letter")
    rows = [chat.screen.buffer[chat.screen.cursor.y + y] for y in (0, 1)]
    assert [row[5 + x].data for row, x in zip(rows, (1, 0), strict=True)] == ["b", "·"]


def test_a_text_is_cut() -> None:
    """Between two clusters, where it and the mark for the rest fit."""
    assert [cut(f"{KI}म{FLAG}", columns) for columns in range(6)] == ["", "…", "…", f"{KI}…", f"{KI}म…", f"{KI}म{FLAG}"]


# ----------------------------------------------------------------------------------------------------- completion


def test_the_menu_while_a_command_is_typed(chat: Terminal) -> None:
    """It opens by itself and shows what the command does."""
    chat.type("/le")
    wait_below(chat, "  /leave  back to the lobby", STATUS)
    chat.type("\x7f\x7f\x7f")
    wait_below(chat, STATUS)


def test_tab_walks_through_the_menu(chat: Terminal) -> None:
    """Tab and the arrows put each candidate into the line, and past the last comes the first."""
    chat.type("/m")
    for key, chosen in ((TAB, "/me"), (TAB, "/msg"), (DOWN, "/mentions"), (TAB, "/me"), (SHIFT_TAB, "/mentions")):
        chat.type(key)
        chat.wait_for(f"\n> {chosen} ")
        chat.wait_for_input(f"lobby> {chosen}")


def test_the_menu_scrolls_with_the_choice(chat: Terminal) -> None:
    """It has six rows, and the chosen one is always among them."""
    chat.type("/")
    chat.wait_for("  /mentions")
    chat.wait(lambda: len(below_prompt(chat)) == 7, "six rows and the status")
    chat.type(UP)
    chat.wait_for("> /name      another name")
    chat.wait(lambda: len(below_prompt(chat)) == 7, "six rows and the status")


def test_the_only_candidate(chat: Terminal) -> None:
    """Tab completes it at once, and the menu closes."""
    chat.type("/j" + TAB + "ops" + ENTER)
    chat.wait_for("--- line /join ops")


def test_enter_while_the_menu_is_open(chat: Terminal) -> None:
    """It takes the line as it was typed."""
    chat.type("/me")
    chat.wait_for("  /mentions")
    chat.type(ENTER)
    chat.wait_for("--- line /me")


def test_escape_closes_the_menu(chat: Terminal) -> None:
    """And the line stays."""
    chat.type("/m")
    chat.wait_for("  /msg")
    chat.type(ESCAPE)
    wait_below(chat, STATUS)
    chat.wait_for_input("lobby> /m")


def test_a_name_is_asked_for(chat: Terminal) -> None:
    """Tab shows the names in their colours; nothing opens before."""
    chat.type("b" + TAB)
    chat.wait_for_input("lobby> bob")
    wait_below(chat, "> bob", "  bobby", STATUS)
    assert chat.color_of("bobby") != "default"


@pytest.mark.parametrize("key", [RIGHT, CTRL_E])
def test_a_hint_how_to_go_on(chat: Terminal, key: str) -> None:
    """It stands behind the cursor and is no part of the line, unless it is taken."""
    chat.type("hi ca")
    chat.wait_for_input("lobby> hi carol")
    assert chat.screen.cursor.x == len("lobby> hi ca")
    chat.type(f"{key}!{ENTER}")
    chat.wait_for("--- line hi carol!")


def test_a_hint_that_is_not_taken(chat: Terminal) -> None:
    """It is not said."""
    chat.type("ca")
    chat.wait_for_input("lobby> carol")
    chat.type(ENTER)
    chat.wait_for("--- line ca\n")


# ----------------------------------------------------------------------------------------------------- pasting


def test_a_line_is_pasted(chat: Terminal) -> None:
    """It is put where the cursor stands, and its end sends nothing."""
    chat.type("see ")
    chat.paste("one thing\r")
    chat.wait_for_input("lobby> see one thing")
    chat.type("!" + ENTER)
    chat.wait_for("--- line see one thing!")


@pytest.mark.parametrize("pasted", ["/exit", "\x00/exit", "\u202e/exit"])
def test_a_command_is_pasted(chat: Terminal, pasted: str) -> None:
    """It is text, as one sees."""
    chat.paste(pasted)
    chat.wait_for_input("lobby> //exit")
    chat.type(ENTER)
    chat.wait_for("--- line //exit")


def test_a_slash_is_pasted_into_a_line(chat: Terminal) -> None:
    """It is a letter like any other."""
    chat.type("in ")
    chat.paste("/etc")
    chat.wait_for_input("lobby> in /etc")


def test_some_lines_are_pasted(chat: Terminal) -> None:
    """They stand below each other, and Enter says them all."""
    chat.paste("one\r\n/two\n\n//three\n")
    chat.wait_for("lobby> one\n       //two\n       ///three")
    chat.type(ENTER)
    chat.wait_for("--- text one|/two|//three")
    chat.wait_for_input(PROMPT)


def test_some_lines_that_are_not_taken(chat: Terminal) -> None:
    """They all stay."""
    chat.type("/full" + ENTER)
    chat.paste("one\n/two")
    chat.type(ENTER)
    chat.wait_for("--- not taken\nlobby> one\n       //two")


MANY = "\n".join(["/first", *(f"row {number}" for number in range(2, 13))])
SAID = "--- text /first|row 2|row 3|row 4|row 5|row 6|row 7|row 8|row 9|row 10|row"


def ask_about(terminal: Terminal) -> None:
    """Type a draft, paste many lines, and wait for the question."""
    terminal.type("draft")
    terminal.paste(MANY)
    wait_below(terminal, "send 12 lines? s: send · e: edit · c: cancel (Esc)", "/first", STATUS)


def test_many_lines_are_sent(chat: Terminal) -> None:
    """They are asked about once, and said; a draft stays what it is."""
    ask_about(chat)
    chat.type("xs")
    chat.wait_for(SAID)
    chat.wait_for_input("lobby> draft")


def test_many_lines_are_edited(chat: Terminal) -> None:
    """They go into the input, of which no more than half of the screen is shown."""
    ask_about(chat)
    chat.type("e")
    chat.wait(lambda: chat.input_row == "       row 12", "the last line")
    assert "row 2" not in chat.rows
    chat.type(ENTER)
    chat.wait_for("--- text draft/first|row 2|")


@pytest.mark.parametrize("key", ["c", ESCAPE, CTRL_C])
def test_many_lines_are_dropped(chat: Terminal, key: str) -> None:
    """Nothing is left of them."""
    ask_about(chat)
    chat.type(key)
    wait_below(chat, STATUS)
    chat.type(ENTER)
    chat.wait_for("--- line draft\n")


def test_many_lines_that_are_not_taken(chat: Terminal) -> None:
    """They go into the input."""
    chat.type("/full" + ENTER)
    chat.paste(MANY)
    chat.wait_for("send 12 lines?")
    chat.type("s")
    chat.wait_for("--- not taken")
    chat.wait(lambda: chat.input_row == "       row 12", "the last line")


# ----------------------------------------------------------------------------------------------------- small terminals


def test_twenty_columns(tmp_path: Path) -> None:
    """The status is cut, the menu too, and the question is a short one with all its answers."""
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
    """The menu has the rows that are left, and the line and the status stay."""
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


# ----------------------------------------------------------------------------------------------------- what arrives


def test_many_lines_arrive(chat: Terminal) -> None:
    """Each is shown once and in order, the prompt below them."""
    chat.type("/flood 1000" + ENTER)
    chat.wait_for("--- flooded")
    chat.wait_for_input(PROMPT)
    shown = [row for row in chat.all_rows if "message" in row]
    assert shown == [f"12:00 bob: message {number} of 1000 that is here" for number in range(1, 1001)]


def test_another_size_while_many_lines_arrive(chat: Terminal) -> None:
    """In the end the last lines hang behind their leads in the new width, above one prompt."""
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


def test_another_size_with_a_draft(chat: Terminal) -> None:
    """What is typed stays, and what was shown is wrapped anew."""
    chat.type("/said these are some words" + ENTER + "a draft")
    chat.wait_for("12:00 bob: these are some words")
    chat.resize(24, 24)
    chat.wait_for("12:00 bob: these are\n           some words\nlobby> a draft")
    chat.resize(24, 60)
    chat.wait_for("12:00 bob: these are some words\nlobby> a draft")
    assert chat.text.count("what came before") == 1


def test_the_screen_is_drawn_again(chat: Terminal) -> None:
    """Ctrl-L mends what something else has written over it."""
    chat.type("hi" + ENTER)
    chat.wait_for("--- line hi")
    chat.screen.reset()
    chat.type(CTRL_L)
    chat.wait_for(f"--- what came before\n--- line hi\nlobby>\n{STATUS}")


def test_the_screen_is_cleared(chat: Terminal) -> None:
    """Nothing is left, not even of what scrolled away or for another size."""
    chat.type("/flood 50" + ENTER)
    chat.wait_for("--- flooded")
    chat.type("/clear" + ENTER)
    chat.wait(lambda: chat.rows[:2] == [PROMPT, STATUS], "an empty screen")
    chat.resize(20, 70)
    chat.type("hi" + ENTER)
    chat.wait(lambda: chat.rows[:3] == ["--- line hi", PROMPT, STATUS], "the new line alone")
    assert not any("message" in row for row in chat.all_rows)


def test_people_come(chat: Terminal) -> None:
    """Who comes soon after another is shown later, without anybody typing."""
    chat.type("/joined bob" + ENTER + "/joined carol" + ENTER)
    chat.wait_for("carol joined")


# ----------------------------------------------------------------------------------------------------- calling a person


def test_an_alert_without_the_focus(chat: Terminal) -> None:
    """It rings once, and the title and the status say what is unread."""
    chat.type("/said before" + ENTER)
    chat.wait_for("12:00 bob: before")
    chat.type(FOCUS_OUT + "/alert one" + ENTER + "/alert two" + ENTER)
    chat.wait(lambda: chat.screen.title == "lobby (2)", "the title")
    chat.wait_for("--- new since you were away ---\n12:00 bob: one")
    chat.wait_for(f"{STATUS} · 2 mentions")
    assert chat.screen.bells == 1
    chat.type(FOCUS_IN)
    chat.wait(lambda: chat.screen.title == "lobby", "the title")
    assert "2 mentions" in chat.text
    chat.type("x")
    wait_below(chat, STATUS)


def test_an_alert_with_the_focus(chat: Terminal) -> None:
    """It does not ring, and the changes of the focus are not typed."""
    chat.type(FOCUS_OUT + FOCUS_IN + "/alert one" + ENTER + "x")
    chat.wait_for("12:00 bob: one")
    chat.wait_for_input("lobby> x")
    assert chat.screen.bells == 0


# ----------------------------------------------------------------------------------------------------- the background


def color_of_bob(tmp_path: Path, background: str) -> str:
    """Return the colour of a name on a terminal that tells its background."""
    with running(tmp_path) as terminal:
        terminal.background = background
        terminal.wait_for_input(PROMPT)
        terminal.type("/said hi" + ENTER)
        terminal.wait_for("12:00 bob: hi")
        return terminal.color_of("bob")


def test_a_terminal_tells_its_background(tmp_path: Path) -> None:
    """The colours are those that can be read on it."""
    assert color_of_bob(tmp_path, WHITE) != color_of_bob(tmp_path, BLACK)


@pytest.mark.parametrize("cut", [len(LATE_ANSWER), 1, 4, 9, len(LATE_ANSWER) - 1])
def test_the_background_is_told_late(tmp_path: Path, cut: int) -> None:
    """The answer is not typed, even if it comes in two parts, and the colours are right from then on."""
    with running(tmp_path) as terminal:
        terminal.silent = True
        terminal.wait_for_input(PROMPT)
        terminal.type("/said one" + ENTER)
        terminal.wait_for("bob: one")
        before = terminal.color_of("bob")
        terminal.type("/clear" + ENTER + LATE_ANSWER[:cut])
        terminal.wait(lambda: terminal.rows[0] == PROMPT, "an empty screen")
        terminal.type(LATE_ANSWER[cut:] + "/said two" + ENTER + "x")
        terminal.wait_for("bob: two")
        terminal.wait_for_input("lobby> x")
        assert terminal.color_of("bob") != before


def test_keys_while_the_background_is_asked_for(tmp_path: Path) -> None:
    """They are not lost."""
    with running(tmp_path) as terminal:
        terminal.silent = True
        terminal.wait(lambda: BACKGROUND_QUERY in terminal.raw, "the question")
        terminal.type("early" + ENTER + "bird")
        terminal.wait_for("--- line early")
        terminal.wait_for_input("lobby> bird")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "linux")])
def test_a_terminal_that_is_not_asked(tmp_path: Path, name: str, value: str) -> None:
    """Nobody needs the answer, or the question would be printed."""
    changes: dict[str, Any] = {name: value}
    with chatting(tmp_path, **changes) as terminal:
        assert BACKGROUND_QUERY not in terminal.raw


def test_no_color(tmp_path: Path) -> None:
    """NO_COLOR leaves not a single code of colour, and the choice can still be seen."""
    with chatting(tmp_path, NO_COLOR="1") as terminal:
        terminal.type("ca")
        terminal.wait_for_input("lobby> ca")  # a hint could not be told from what is typed
        terminal.type(CTRL_C + "/m" + TAB)
        terminal.wait_for("> /me ")
        terminal.type(CTRL_C + "/alert hi" + ENTER)
        terminal.wait_for("12:00 bob: hi")
        assert re.findall(rb"\x1b\[[0-9;]*m", terminal.raw) == []


# ----------------------------------------------------------------------------------------------------- questions


def test_a_question_before_the_chat(tmp_path: Path) -> None:
    """It is answered in the same terminal, below what was shown and told before it, in order."""
    with running(tmp_path, "ask") as terminal:
        terminal.wait_for("--- what came before\n--- who are you?\nUsername:")
        terminal.type("alice" + ENTER)
        terminal.wait_for("\nUsername: alice\n--- answer alice")
        terminal.wait_for_input(PROMPT)


def test_between_the_questions_and_the_chat(tmp_path: Path) -> None:
    """Nobody reads, so Ctrl-C has to be a signal; what is typed is not echoed, and the terminal is as it was then."""
    with running(tmp_path, "ask", "wait") as terminal:
        terminal.wait_for("Username:")
        terminal.type("alice" + ENTER)
        terminal.wait_for("--- answer alice")
        terminal.type("early" + CTRL_C)
        assert terminal.wait_for_exit() == 130
        see_it_as_it_was(terminal)
        assert "early" not in terminal.text


# ----------------------------------------------------------------------------------------------------- ends


def see_it_as_it_was(terminal: Terminal) -> None:
    """See that the settings are those from before, and that everything is off that was on."""
    assert terminal.settings() == terminal.settings_before
    for code in (color.DISABLE_FOCUS_EVENTS.encode(), b"\x1b[?2004l", color.RESTORE_TITLE.encode()):
        assert terminal.raw.count(code) == 1
    assert not terminal.screen.cursor.hidden


def test_somebody_leaves(chat: Terminal) -> None:
    """The terminal is as it was, and what was shown stays, without the prompt."""
    chat.type("draft" + CTRL_C + CTRL_D)
    assert chat.wait_for_exit() == 0
    see_it_as_it_was(chat)
    assert [row for row in chat.rows if row] == ["--- what came before", "left"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(chat: Terminal, number: signal.Signals) -> None:
    """The terminal is as it was, though a line was being typed."""
    chat.type("draft")
    chat.wait_for_input("lobby> draft")
    chat.kill(number)
    assert chat.wait_for_exit() == 128 + number
    see_it_as_it_was(chat)


def test_it_is_stopped(chat: Terminal) -> None:
    """The terminal is as it was."""
    chat.type("/stop" + ENTER)
    assert chat.wait_for_exit() == 1
    see_it_as_it_was(chat)


def test_a_bug(chat: Terminal) -> None:
    """It ends the program, with its traceback on a terminal that is as it was."""
    chat.type("/fail by design" + ENTER)
    assert chat.wait_for_exit() == 1
    see_it_as_it_was(chat)
    assert "RuntimeError: by design" in chat.text


def test_the_terminal_goes(tmp_path: Path) -> None:
    """The reading ends as if the person had left, also where nobody is told by a signal."""
    with chatting(tmp_path, "deaf") as terminal:
        assert terminal.hang_up() == 0


def test_it_is_suspended_and_goes_on(tmp_path: Path) -> None:
    """Ctrl-Z gives the terminal back as it was, and `fg` takes it again with the line being typed."""
    with Terminal(
        "testing/job_control.py", ["tests/client/terminal/screen_driver.py"], environment(tmp_path)
    ) as terminal:
        terminal.wait_for_input(PROMPT)
        taken = terminal.settings()
        terminal.type("draft" + CTRL_Z)
        terminal.wait_for("stopped")
        see_it_as_it_was(terminal)
        assert terminal.settings()[3] & termios.ECHO
        terminal.type("fg\n")
        terminal.wait_for_input("lobby> draft")
        assert terminal.settings() == taken
        terminal.type("!" + FOCUS_OUT + ENTER)
        terminal.wait_for("--- line draft!")
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0
        assert terminal.settings() == terminal.settings_before
