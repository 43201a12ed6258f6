"""The memory that the tails of all rooms may take together. For the delivery thread alone."""

from collections import OrderedDict

from hubbub.server.delivery.room_log import RoomLog

BUDGET_BYTES = 8_388_608  # of all tails: those who lag in a few busy rooms need no more, and others read the journal
PAGE_OVERHEAD_BYTES = 200  # of a page beside its lines; thousands of short presence lines take more than themselves


class TailBudget:
    """Clears the tails of the rooms written least recently while all tails take more than BUDGET_BYTES.

    Live subscribers need no tail, and lagging ones continue from the journal.
    """

    def __init__(self) -> None:
        self._sizes: OrderedDict[RoomLog, int] = OrderedDict()  # in bytes; the log written last comes last
        self._total = 0  # the sum of these

    def record(self, log: RoomLog) -> None:
        """Note that lines were appended to a log, and clear other tails if necessary."""
        size = log.tail.end - log.tail.start + PAGE_OVERHEAD_BYTES * len(log.tail.pages)
        self._total += size - self._sizes.get(log, 0)
        self._sizes[log] = size
        self._sizes.move_to_end(log)
        if self._total > BUDGET_BYTES:
            self._clear_oldest()

    def forget(self, log: RoomLog) -> None:
        """Note that the tail of a log was cleared."""
        self._total -= self._sizes.pop(log, 0)

    def _clear_oldest(self) -> None:
        """Clear tails, but none with unflushed lines: a subscriber that takes a part of them has its position there."""
        for _ in range(len(self._sizes)):
            if self._total <= BUDGET_BYTES:
                return
            log = next(iter(self._sizes))
            if log.unflushed:
                self._sizes.move_to_end(log)
            else:
                log.tail.clear()
                self.forget(log)
