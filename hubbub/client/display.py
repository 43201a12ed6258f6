"""Classifies events and shows them to the user as notifications. Any thread may call what is here."""

import threading
from collections.abc import Callable

from hubbub.client.output.ui import Ui
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Error, Event, Notice


class Display:
    """Shows events on the user interface, as the user's highlights classify them."""

    def __init__(self, ui: Ui, highlights: Highlights, on_failure: Callable[[str], None]) -> None:
        """`on_failure` gets the reason when nothing more can be shown; empty when the reader of a pipe is gone."""
        self.ui = ui
        self._highlights = highlights
        self._on_failure = on_failure
        self._lock = threading.Lock()  # guards the count
        self._refused_lines = 0

    @property
    def refused_lines(self) -> int:
        """How many lines were refused, by the server or here."""
        with self._lock:
            return self._refused_lines

    def tell(self, text: str) -> None:
        """Show a message of the client's own."""
        self.show_event(Notice(text))

    def refuse(self, text: str) -> None:
        """Show why a line is not carried out, and count it."""
        with self._lock:
            self._refused_lines += 1
        self.show_event(Error("refused", text))

    def show_event(self, event: Event, age: Age = Age.LIVE, me: str = "") -> None:
        """Show an event to the user called `me`, unless it comes from a user who is ignored."""
        notification = self._highlights.classify(event, me, age)
        if notification is not None:
            self.show(notification)

    def show(self, notification: Notification) -> None:
        """Show a notification."""
        try:
            self.ui.show(notification)
        except BrokenPipeError:
            self._on_failure("")
        except OSError as error:
            self._on_failure(f"nothing more can be shown: {error.strerror}")
