"""The bytes that wait to be sent to the server. Any thread may call what is here; it never waits."""

import threading
import time


class SendBuffer:
    """Bytes in, bytes out, in order; nothing goes in while there is no connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards everything below
        self._is_online = True
        self._data = bytearray()
        self._moved_at = 0.0  # monotonic seconds: when bytes last left, or the first of them came to wait
        self._finish_by: float | None = None  # monotonic seconds

    def add(self, data: bytes) -> None:
        """Add bytes; without a connection they are dropped."""
        with self._lock:
            if not self._is_online:
                return
            if not self._data:
                self._moved_at = time.monotonic()
            self._data += data

    def go_online(self) -> None:
        """Accept bytes for a new connection."""
        with self._lock:
            self._is_online = True

    def go_offline(self) -> None:
        """Drop what is waiting, and all that is added until the next connection."""
        with self._lock:
            self._is_online = False
            self._data.clear()

    def finish(self, last: bytes, by: float) -> None:
        """Add the `last` bytes, all of which should be sent `by` then, in monotonic seconds. Idempotent.

        It is one step: a server that closes because of them must find that we are closing too.
        """
        with self._lock:
            if self._finish_by is None:
                self._data += last if self._is_online else b""
                self._finish_by = by

    @property
    def finish_by(self) -> float | None:
        """Until when everything should be sent; None before `finish`."""
        with self._lock:
            return self._finish_by

    @property
    def waiting_since(self) -> float | None:
        """When bytes last left while others wait, in monotonic seconds; None if none wait."""
        with self._lock:
            return self._moved_at if self._data else None

    def __len__(self) -> int:
        with self._lock:
            return len(self._data)

    def peek(self, size: int) -> bytes:
        """Return at most `size` of the bytes that wait, which stay."""
        with self._lock:
            return bytes(self._data[:size])

    def remove(self, count: int) -> None:
        """Remove the first `count` bytes, which are sent."""
        with self._lock:
            del self._data[:count]
            self._moved_at = time.monotonic()
