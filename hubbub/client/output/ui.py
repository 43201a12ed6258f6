"""What a session needs of the place where a person types and reads, and what that place needs of the session.

`Screen` (a terminal with an editor) and `PlainUi` (pipes, files, simple terminals) are the two consoles there are.
"""

from collections.abc import Sequence
from typing import Protocol

from hubbub.client.completion import Completion
from hubbub.client.output.styled_line import StyledLine
from hubbub.client.state.notification import Notification
from hubbub.client.state.status import Status


class StoppedError(Exception):
    """`Ui.stop` was called while somebody waited for a line."""


class InputRejectedError(Exception):
    """A line cannot be taken now, as the person was told; an editor leaves it where it is."""


class LineHandler(Protocol):
    """Takes what a person types, and knows what stands around it. For the main thread."""

    def handle_line(self, line: str) -> bool:
        """Carry out what was typed; False means that the person leaves. Raises InputRejectedError."""

    def handle_paste(self, lines: Sequence[str]) -> None:
        """Post all these lines, in order, none as a command; or raise InputRejectedError and post none."""

    def status(self) -> Status:
        """Return what the person should know now."""

    def complete(self, before: str) -> Completion:
        """Return how the line that starts with `before` may go on."""


class Ui(Protocol):
    """Lines in from a person or a pipe, news out. The main thread reads; any thread may show, refresh and stop."""

    @property
    def is_interactive(self) -> bool:
        """Whether there is a person who can be asked."""

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return the answer to `prompt`; one that is `secret` is not shown, nor kept.

        For the main thread. Raises EOFError when the person leaves.
        """

    def show_line(self, line: StyledLine) -> None:
        """Show a line that belongs to a question. For the main thread."""

    def show(self, notification: Notification) -> None:
        """Show an event. Waits while too much is not shown yet. Raises OSError when nothing can be shown any more."""

    def clear(self) -> None:
        """Take away what is shown. For the main thread."""

    def refresh(self) -> None:
        """Show soon what the status is now. Never waits."""

    def stop(self) -> None:
        """End the reading of lines, now and from now on. Never waits."""

    def close(self) -> None:
        """Show what is still to be shown, and leave the terminal as it was. Called once, by the main thread."""
