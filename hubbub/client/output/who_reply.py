"""The rows of a /who reply, held until the server has said which of these members own their names."""

import threading

from hubbub.client.output.render import render_member
from hubbub.client.output.styled_line import StyledLine
from hubbub.protocol import Event, MemberRow, OwnerRow

MAX_ROWS = 1_000  # held at once; a server that sends more gets them shown without the mark


class WhoReply:
    """The rows that are held. The server sends a member's row first, and later, if their name is proven, the proof.

    Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards everything below
        self._rows: list[MemberRow] = []
        self._proven: set[str] = set()

    def hold(self, event: Event) -> bool:
        """Hold `event` if it is a part of a reply; return whether it was held."""
        with self._lock:
            if isinstance(event, MemberRow) and len(self._rows) < MAX_ROWS:
                self._rows.append(event)
                return True
            if isinstance(event, OwnerRow) and any(row.name == event.name for row in self._rows):
                self._proven.add(event.name)
                return True
            return False

    def release(self) -> list[StyledLine]:
        """Return the lines of all rows that are held, and hold none any more."""
        with self._lock:
            rows, self._rows = self._rows, []
            proven, self._proven = self._proven, set()
        return [render_member(row, proven=row.name in proven) for row in rows]
