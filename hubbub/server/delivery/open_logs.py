"""The open logs: those of rooms with subscribers, and of some that had subscribers a moment ago."""

from collections.abc import Iterator

from hubbub.server.delivery.room_log import RoomLog
from hubbub.server.delivery.sequencer import Sequencer
from hubbub.server.delivery.tail_budget import TailBudget
from hubbub.server.rooms.room import Room

IDLE_LOGS = (
    100  # without subscribers that stay open, so that the lines of a room are still in memory when a member returns
)


class OpenLogs:
    """The open logs, by room key. For the delivery thread alone."""

    def __init__(self, sequencer: Sequencer, tail_budget: TailBudget) -> None:
        self._sequencer = sequencer
        self._tail_budget = tail_budget
        self._logs: dict[str, RoomLog] = {}
        self._close_at = IDLE_LOGS  # so many logs

    def __iter__(self) -> Iterator[RoomLog]:
        """Yield every open log."""
        return iter(self._logs.values())

    def find(self, key: str) -> RoomLog | None:
        """Return the log of a room if it is open."""
        return self._logs.get(key)

    def open(self, room: Room) -> RoomLog:
        """Return the log of a room, and open it if necessary."""
        log = self._logs.get(room.key)
        if log is None:
            log = self._logs[room.key] = RoomLog(room.key, room.name, self._sequencer.open_room(room.key))
        return log

    def close_idle(self) -> None:
        """Close logs without subscribers, except the last IDLE_LOGS."""
        if len(self._logs) <= self._close_at:
            return
        idle = [key for key, log in self._logs.items() if not log.has_subscribers]
        for key in idle[:-IDLE_LOGS]:
            log = self._logs.pop(key)
            log.tail.clear()  # which a subscriber that left the room may still read
            self._tail_budget.forget(log)
            self._sequencer.close_room(key)
        self._close_at = 2 * len(self._logs) + IDLE_LOGS  # so that this search stays rare
