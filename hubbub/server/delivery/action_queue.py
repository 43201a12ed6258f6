"""The queue between the sessions' threads and the delivery thread, with backpressure."""

import threading
import time
from collections.abc import Callable, Sequence

from hubbub.server.delivery.actions import Action, Post

PENDING_LINES = 1_000  # of a room; while there are more, a session waits before it reads on
PENDING_LINES_OF_ALL = 50_000  # of all rooms together: a thousand rooms could hold 100 MB for seconds
PENDING_ACTIONS = 100_000  # queued or held; while there are more, a session waits before it executes a command


class ActionQueue:
    """Actions in the order in which they are carried out. Any thread, except for the methods of the delivery thread.

    An action is *pending* from `put` to `release`. A session waits while too many actions are pending.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` ends the wait of the delivery thread."""
        self._wake = wake
        self._lock = threading.Lock()  # guards all below
        self._space = threading.Condition(self._lock)  # notified when actions are released, and at the stop
        self._actions: list[Action] = []
        self._lines: dict[str, int] = {}  # pending, by room key
        self._lines_of_all = 0  # the sum of these
        self._held = 0  # actions that were taken but not carried out yet
        self._asleep = False
        self._deadline: float | None = None  # of the stop, in seconds of the monotonic clock
        self._closed = False

    def put(self, *actions: Action) -> None:
        """Append actions; the caller may hold the membership's lock, and calls `wake` after its release."""
        with self._lock:
            self._actions.extend(actions)

    def put_posts(self, posts: Sequence[Post]) -> None:
        """Append posts for one room; wait first while many lines of that room, or of all rooms, are pending."""
        key = posts[0].room.key
        count = sum(len(post.texts) for post in posts)
        with self._lock:
            while self._has_many_lines(key) and self._deadline is None:
                self._space.wait()
            self._lines[key] = self._lines.get(key, 0) + count
            self._lines_of_all += count
            self._actions.extend(posts)

    def _has_many_lines(self, key: str) -> bool:
        return self._lines.get(key, 0) >= PENDING_LINES or self._lines_of_all >= PENDING_LINES_OF_ALL

    def wake(self) -> None:
        """Wake the delivery thread if it waits."""
        with self._lock:
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._wake()

    def wait_for_space(self) -> None:
        """Wait while more than PENDING_ACTIONS are queued or held, so that no command can fill the memory."""
        with self._lock:
            while len(self._actions) + self._held >= PENDING_ACTIONS and self._deadline is None:
                self._space.wait()

    def stop(self, seconds: float) -> None:
        """End all waits for space, and set the deadline of the stop. Idempotent."""
        with self._lock:
            if self._deadline is None:
                self._deadline = time.monotonic() + seconds
            self._space.notify_all()

    @property
    def deadline(self) -> float | None:
        """The monotonic time by which everything is to be sent; None before the stop."""
        with self._lock:
            return self._deadline

    @property
    def is_closed(self) -> bool:
        """Whether the queue is closed: no action is carried out any more."""
        with self._lock:
            return self._closed

    # --------------------------------------------------------------------------------------- the delivery thread alone

    def is_empty(self) -> bool:
        """Return whether no action is queued."""
        with self._lock:
            return not self._actions

    def prepare_to_sleep(self) -> bool:
        """Return whether no action is queued; if so, the next `wake` wakes the delivery thread."""
        with self._lock:
            self._asleep = not self._actions
            return self._asleep

    def take(self, held: int) -> list[Action]:
        """Return all queued actions; `held` is how many were taken before and are not carried out yet."""
        with self._lock:
            self._asleep = False
            actions, self._actions = self._actions, []
            self._held = held
        return actions

    def release(self) -> None:
        """Mark all actions that were taken as carried out, and wake the sessions that wait."""
        with self._lock:
            self._lines = {}
            self._lines_of_all = 0
            self._held = 0
            self._space.notify_all()

    def close(self) -> list[Action]:
        """Close the queue and return all queued actions. Idempotent."""
        with self._lock:
            self._closed = True
            self._deadline = self._deadline or time.monotonic()
            actions, self._actions = self._actions, []
            self._asleep = False
            self._space.notify_all()
        return actions
