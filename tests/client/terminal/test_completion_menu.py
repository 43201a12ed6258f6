"""The completion menu on a pseudo-terminal: when it opens, and the keys that select a candidate."""

from testing.terminal import DOWN, ENTER, ESCAPE, SHIFT_TAB, TAB, UP, Terminal
from tests.client.terminal.screen_runs import STATUS, below_prompt, wait_below


def test_menu_opens_while_a_command_is_typed(chat: Terminal) -> None:
    """It shows what the command does."""
    chat.type("/le")
    wait_below(chat, "  /leave  back to the lobby", STATUS)
    chat.type("\x7f\x7f\x7f")
    wait_below(chat, STATUS)


def test_keys_select_a_candidate(chat: Terminal) -> None:
    """Tab and the arrows insert the next or previous candidate; the first follows the last."""
    chat.type("/m")
    for key, chosen in ((TAB, "/me"), (TAB, "/msg"), (DOWN, "/mentions"), (TAB, "/me"), (SHIFT_TAB, "/mentions")):
        chat.type(key)
        chat.wait_for(f"\n> {chosen} ")
        chat.wait_for_input(f"lobby> {chosen}")


def test_menu_scrolls_to_the_selected_row(chat: Terminal) -> None:
    """It has six rows, and the selected one is among them."""
    chat.type("/")
    chat.wait_for("  /mentions")
    chat.wait(lambda: len(below_prompt(chat)) == 7, "six rows and the status")
    chat.type(UP)
    chat.wait_for("> /name      another name")
    chat.wait(lambda: len(below_prompt(chat)) == 7, "six rows and the status")


def test_single_candidate(chat: Terminal) -> None:
    """Tab inserts it at once, and the menu closes."""
    chat.type("/j" + TAB + "ops" + ENTER)
    chat.wait_for("--- line /join ops")


def test_enter_while_the_menu_is_open(chat: Terminal) -> None:
    """The line counts as it was typed."""
    chat.type("/me")
    chat.wait_for("  /mentions")
    chat.type(ENTER)
    chat.wait_for("--- line /me")


def test_escape_closes_the_menu(chat: Terminal) -> None:
    """The line stays."""
    chat.type("/m")
    chat.wait_for("  /msg")
    chat.type(ESCAPE)
    wait_below(chat, STATUS)
    chat.wait_for_input("lobby> /m")


def test_tab_completes_a_name(chat: Terminal) -> None:
    """The menu shows the names in their colours, and only after Tab."""
    chat.type("b" + TAB)
    chat.wait_for_input("lobby> bob")
    wait_below(chat, "> bob", "  bobby", STATUS)
    assert chat.color_of("bobby") != "default"
