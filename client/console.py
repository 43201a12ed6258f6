"""What a session needs of the place where a person types and reads; `Screen` and `Plain` are the two there are."""

from collections.abc import Callable
from typing import Protocol

from client.status import Status


class StoppedError(Exception):
    """`Console.stop` was called while somebody waited for a line."""


class NotTakenError(Exception):
    """A line cannot be taken now, as the person was told; an editor leaves it where it is."""


class Console(Protocol):
    """Lines in from a person or a pipe, lines out. The main thread reads; any thread may show, refresh and stop."""

    @property
    def asks(self) -> bool:
        """Whether there is a person who can be asked."""

    def ask(self, question: str) -> str:
        """Return the answer to `question`. Raises EOFError when the person leaves, and StoppedError."""

    def read_lines(self, on_line: Callable[[str], bool], status: Callable[[], Status]) -> None:
        """Hand every line to `on_line` until that returns False or there are no more. Raises StoppedError.

        `on_line` may raise NotTakenError where there is an editor, which also shows what `status` returns.
        """

    def refresh(self) -> None:
        """Show soon what the status is now. Never waits."""

    def show(self, line: str, *, aside: bool = False) -> None:
        """Show one line; `aside` keeps it from what a program reads. Waits while too much is not shown yet.

        Raises OSError when nothing can be shown any more.
        """

    def stop(self) -> None:
        """End `ask` and `read_lines`, now and from now on. Never waits."""

    def close(self) -> None:
        """Show what is still to be shown. Called once, by the main thread, after everything else."""
