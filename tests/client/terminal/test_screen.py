"""The user interface of a terminal as a whole: prompts before the chat, alerts and ends."""

from pathlib import Path

from testing.terminal import ENTER, FOCUS_IN, FOCUS_OUT, Terminal
from tests.client.terminal.screen_runs import PROMPT, STATUS, running, wait_below


def test_prompt_before_the_chat(tmp_path: Path) -> None:
    """It is shown on the same terminal, below earlier lines, in order."""
    with running(tmp_path, "ask") as terminal:
        terminal.wait_for("--- what came before\n--- who are you?\nUsername:")
        terminal.type("alice" + ENTER)
        terminal.wait_for("\nUsername: alice\n--- answer alice")
        terminal.wait_for_input(PROMPT)


def test_alert_without_focus(chat: Terminal) -> None:
    """The bell rings once; the title counts unread lines, the status unread mentions."""
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
