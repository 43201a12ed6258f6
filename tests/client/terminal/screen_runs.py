"""The screen driver on a pseudo-terminal, for the tests of this folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.terminal import Terminal, environment

PROMPT = "lobby>"
STATUS = "lobby · 3 people · connected"


@contextmanager
def running(tmp_path: Path, *arguments: str, rows: int = 24, columns: int = 80, **changes: str) -> Iterator[Terminal]:
    """Run the driver; it has not shown its prompt yet."""
    with Terminal(
        "tests/client/terminal/screen_driver.py", arguments, environment(tmp_path, **changes), rows, columns
    ) as terminal:
        yield terminal


@contextmanager
def chatting(tmp_path: Path, *arguments: str, rows: int = 24, columns: int = 80, **changes: str) -> Iterator[Terminal]:
    """Run the driver and wait for its prompt."""
    with running(tmp_path, *arguments, rows=rows, columns=columns, **changes) as terminal:
        terminal.wait_for("--- what came before")
        terminal.wait_for_input(PROMPT)
        yield terminal


def below_prompt(terminal: Terminal) -> list[str]:
    """Return the rows below the one with the cursor, without empty ones."""
    return [row for row in terminal.rows[terminal.screen.cursor.y + 1 :] if row]


def wait_below(terminal: Terminal, *rows: str) -> None:
    """Wait until exactly these rows are below the one with the cursor."""
    terminal.wait(lambda: below_prompt(terminal) == [*rows], f"below the input {rows}")
