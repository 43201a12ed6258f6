"""Waiting for the server: it may take any time, but the wait ends if it makes no progress."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hubbub.client.output.ui import StoppedError


class NotSentError(Exception):
    """The server made no progress for too long with what is to be sent; the text says more."""


class ProgressTimeout:
    """The times when the server last sent something and last made progress.

    `changed` is the session's lock, which guards them.

    The time in which an event is shown does not count: while a slow reader of ours keeps the socket thread waiting,
    nothing can be received.
    """

    def __init__(self, changed: threading.Condition, timeout: float) -> None:
        """`wait_for` gives up after `timeout` seconds without progress."""
        self._changed = changed
        self._timeout = timeout
        self._heard_at = time.monotonic()
        self._moved_at = self._heard_at
        self._is_busy = False  # handling an event

    @contextmanager
    def handle_event(self) -> Iterator[None]:
        """Stop the clocks while the socket thread handles an event, and wake those who wait after it."""
        started = time.monotonic()
        with self._changed:
            self._is_busy = True
        try:
            yield
        finally:
            with self._changed:
                self._is_busy = False
                self._heard_at = time.monotonic()
                self._moved_at += self._heard_at - started
                self._changed.notify_all()

    @property
    def is_busy(self) -> bool:
        """Whether an event is being handled."""
        return self._is_busy

    def record(self) -> None:
        """Note that the server carried out something."""
        self._moved_at = time.monotonic()

    def silence(self) -> float:
        """Return for how many seconds the server has sent nothing; 0 while an event is being handled."""
        return 0.0 if self._is_busy else time.monotonic() - self._heard_at

    def wait_for(self, is_done: Callable[[], bool], has_ended: Callable[[], bool], reading: str) -> None:
        """Wait until `is_done`, which is called under the lock; `reading` says how far the input was read.

        Raises StoppedError when the session `has_ended`, and NotSentError.
        """
        with self._changed:
            self._moved_at = time.monotonic()
            while not is_done():
                left = self._moved_at + self._timeout - time.monotonic()
                if has_ended():
                    raise StoppedError
                if left <= 0 and not self._is_busy:
                    raise NotSentError(f"the server accepted nothing for {self._timeout:g} s; {reading}")
                self._changed.wait(left if left > 0 else None)  # None: until the event is shown
