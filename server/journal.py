"""The journal keeps what was said: the ordered, numbered lines of each room."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from protocol import Acted, Said

KeptEvent = Said | Acted

MEMORY_LINES = 1_000  # kept of a room
MEMORY_BYTES = 1_048_576  # kept of a room, counted as on the wire
MEMORY_ROOMS = 10_000  # rooms of which something is kept; past that the one longest silent is forgotten


class KeptLine(NamedTuple):
    """A line as the journal takes it: `key` is the room's (`protocol.same_key`), the event has its SEQ and TIME."""

    key: str
    event: KeptEvent
    size: int  # bytes on the wire


class Journal(Protocol):
    """What a journal promises. `append` is for the delivery thread, `last` and `read` for any."""

    def append(self, lines: Sequence[KeptLine]) -> None:
        """Keep all of `lines`, or none of them and raise OSError."""

    def last(self, key: str) -> int:
        """Return the SEQ of the last line of a room, 0 where there is none."""

    def read(self, key: str, after: int, upto: int, limit: int) -> list[KeptEvent]:
        """Return the first `limit` lines of a room with after < SEQ <= upto that are still kept, oldest first."""


@dataclass(slots=True)
class _Past:
    """The kept lines of one room."""

    lines: deque[KeptLine] = field(default_factory=deque)
    size: int = 0

    def append(self, line: KeptLine) -> None:
        self.lines.append(line)
        self.size += line.size
        while len(self.lines) > MEMORY_LINES or self.size > MEMORY_BYTES:
            self.size -= self.lines.popleft().size


class MemoryJournal:
    """A journal that ends with the process and keeps the last 1,000 lines or 1 MiB of a room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below
        self._pasts: dict[str, _Past] = {}  # the room that spoke last comes last

    def append(self, lines: Sequence[KeptLine]) -> None:
        """Keep `lines`, and forget the oldest beyond the limits."""
        with self._lock:
            for line in lines:
                past = self._pasts.pop(line.key, None) or _Past()
                self._pasts[line.key] = past
                past.append(line)
            while len(self._pasts) > MEMORY_ROOMS:
                del self._pasts[next(iter(self._pasts))]

    def last(self, key: str) -> int:
        """Return the SEQ of the last line of a room, 0 where there is none."""
        with self._lock:
            past = self._pasts.get(key)
            return past.lines[-1].event.seq if past else 0

    def read(self, key: str, after: int, upto: int, limit: int) -> list[KeptEvent]:
        """Return the first `limit` lines of a room with after < SEQ <= upto that are still kept, oldest first."""
        with self._lock:
            past = self._pasts.get(key)
            events = [line.event for line in past.lines if after < line.event.seq <= upto] if past else []
        return events[:limit]
