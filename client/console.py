"""What a session needs of the place where a person types and reads; `Screen` and `Plain` are the two there are."""

from collections.abc import Callable
from typing import Protocol


class StoppedError(Exception):
    """`Console.stop` was called while somebody waited for a line."""


class Console(Protocol):
    """Lines in from a person or a pipe, lines out. The main thread reads; any thread may show and stop."""

    @property
    def asks(self) -> bool:
        """Whether there is a person who can be asked."""

    def ask(self, question: str) -> str:
        """Return the answer to `question`. Raises EOFError when the person leaves, and StoppedError."""

    def read_lines(self, on_line: Callable[[str], bool]) -> None:
        """Hand every line to `on_line` until that returns False or there are no more. Raises StoppedError."""

    def enter(self, room: str) -> None:
        """Say in which room the next line will be said."""

    def show(self, line: str, *, aside: bool = False) -> None:
        """Show one line; `aside` keeps it from what a program reads. Waits while too much is not shown yet.

        Raises OSError when nothing can be shown any more.
        """

    def stop(self) -> None:
        """End `ask` and `read_lines`, now and from now on. Never waits."""

    def close(self) -> None:
        """Show what is still to be shown. Called once, by the main thread, after everything else."""
