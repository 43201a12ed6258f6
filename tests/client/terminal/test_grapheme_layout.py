"""The layout of grapheme clusters on a pseudo-terminal: the column of what follows, full rows, truncation."""

import pytest

from hubbub.client.terminal.grapheme_layout import truncate
from testing.terminal import ENTER, HOME, Terminal

FLAG, FAMILY, KEYCAP, KI = "🇩🇪", "👨\u200d👩\u200d👧", "1\ufe0f\u20e3", "कि"


@pytest.mark.parametrize(
    ("cluster", "columns"), [(FLAG, 2), (FAMILY, 2), (KEYCAP, 2), (KI, 2), ("क्या", 3), ("e\u0301", 1), ("漢", 2)]
)
def test_letter_typed_before_a_cluster(chat: Terminal, cluster: str, columns: int) -> None:
    """The text behind a cluster has the reserved column, even on this terminal, which draws clusters otherwise."""
    chat.type(f"{cluster}b{cluster}c{HOME}")
    chat.wait(lambda: chat.screen.cursor.x == len("lobby> "), "the cursor")
    chat.type("xy")
    chat.wait(lambda: chat.screen.cursor.x == len("lobby> xy"), "the cursor")
    cells = [chat.screen.buffer[chat.screen.cursor.y][x].data for x in range(80)]
    assert "".join(cells[:9]) == "lobby> xy"
    assert cells[9 + columns] == "b"
    assert cells[9 + columns + 1 + columns] == "c"


@pytest.mark.parametrize("wide", [FLAG, FAMILY, "漢"])
def test_line_of_wide_clusters(chat: Terminal, wide: str) -> None:
    """Its rows are full but for the last column, where none fits, and the row with the cursor is shown."""
    chat.type(wide * (3 * 36 + 1))
    chat.wait(lambda: (chat.screen.cursor.y, chat.screen.cursor.x) == (4, 9), "the cursor")
    for y in (1, 2, 3):
        row = chat.screen.buffer[y]
        assert [row[x].data[:1] for x in range(7, 79, 2)] == [wide[:1]] * 36


def test_room_name_with_a_flag(chat: Terminal) -> None:
    """The input and the status begin where the name ends."""
    chat.type(f"/room {FLAG}{KI}{ENTER}")
    chat.wait(lambda: chat.screen.cursor.x == 4 + len("> "), "the new prompt")
    chat.type("b")
    chat.wait(lambda: chat.screen.cursor.x == 4 + len("> b"), "the letter")
    rows = [chat.screen.buffer[chat.screen.cursor.y + y] for y in (0, 1)]
    assert [row[5 + x].data for row, x in zip(rows, (1, 0), strict=True)] == ["b", "·"]


def test_truncate() -> None:
    """It cuts between two clusters, so that the text and the … fit."""
    assert [truncate(f"{KI}म{FLAG}", columns) for columns in range(6)] == [
        "",
        "…",
        "…",
        f"{KI}…",
        f"{KI}म…",
        f"{KI}म{FLAG}",
    ]
