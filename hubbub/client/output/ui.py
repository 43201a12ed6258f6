"""The interfaces between the session and a user interface.

There are two implementations of `Ui`: `Screen` (a terminal with a line editor) and `PlainUi` (pipes, files, simple
terminals).
"""

from collections.abc import Sequence
from typing import Protocol

from hubbub.client.completion import Completion
from hubbub.client.output.styled_line import StyledLine
from hubbub.client.state.notification import Notification
from hubbub.client.state.status import Status


class StoppedError(Exception):
    """`Ui.stop` was called while the main thread waited for a line."""


class InputRejectedError(Exception):
    """A line cannot be accepted now, and the user was told why; an editor leaves it in the input."""


class LineHandler(Protocol):
    """The receiver of the lines that the user types in a line editor. All methods are for the main thread."""

    def handle_line(self, line: str) -> bool:
        """Carry out a line; return False if the user leaves. Raises InputRejectedError."""

    def handle_paste(self, lines: Sequence[str]) -> None:
        """Post all these lines in order, none as a command. Raises InputRejectedError, and then posts none."""

    def status(self) -> Status:
        """Return the content of the status line."""

    def complete(self, before: str) -> Completion:
        """Return the completions of a line that starts with `before`."""


class Ui(Protocol):
    """A user interface: it reads lines and shows notifications. Any thread may call show, refresh and stop."""

    @property
    def is_interactive(self) -> bool:
        """Whether there is a user who can answer a prompt."""

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return the answer to `prompt`; a `secret` answer is neither shown nor stored.

        Main thread only. Raises EOFError when the user leaves, and StoppedError.
        """

    def show_line(self, line: StyledLine) -> None:
        """Show a line that belongs to a prompt. Main thread only."""

    def show(self, notification: Notification) -> None:
        """Show an event. May wait until earlier ones are shown. Raises OSError when the output is gone."""

    def clear(self) -> None:
        """Clear the screen and the scrollback. Main thread only."""

    def refresh(self) -> None:
        """Show the current status soon. Never waits."""

    def stop(self) -> None:
        """End `ask` and the reading of lines, now and from now on. Never waits."""

    def close(self) -> None:
        """Show what is pending and restore the terminal. Called once, in the main thread."""
