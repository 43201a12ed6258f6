"""Keys on grapheme clusters: moving, deleting and swapping, in the editor on a pseudo-terminal."""

import pytest

from testing.terminal import (
    BACKSPACE,
    CTRL_B,
    CTRL_D,
    CTRL_E,
    CTRL_F,
    CTRL_H,
    CTRL_T,
    DELETE,
    ENTER,
    HOME,
    LEFT,
    RIGHT,
    Terminal,
)

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
    """Wait for a line in the output; the test's emulator does not show every cluster."""
    terminal.wait(lambda: f"line {line}\x1b".encode() in terminal.raw, f"the line {line!r}")


@pytest.mark.parametrize("cluster", [FLAG, FAMILY, KEYCAP, KI, "क्षि", "e\u0301"])
def test_keys_act_on_whole_clusters(chat: Terminal, cluster: str) -> None:
    """A key moves over one, deletes one or swaps it with a letter, and never splits it."""
    for number, (keys, line) in enumerate(CLUSTER_KEYS):
        chat.type(f"{cluster}{keys}{CTRL_E}{number}{ENTER}")
        wait_for_line(chat, f"{line.format(cluster)}{number}")


def test_flag_typed_before_another_flag(chat: Terminal) -> None:
    """Its first half joins with the next flag only until the second half is typed."""
    chat.type(FLAG + HOME + "🇪🇺" + ENTER)
    wait_for_line(chat, f"🇪🇺{FLAG}")
