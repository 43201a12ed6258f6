"""The memory of the tails of all rooms together."""

import pytest

from hubbub.server.delivery import tail_budget
from hubbub.server.delivery.actions import Subscribe
from hubbub.server.delivery.room_log import RoomLog
from hubbub.server.delivery.tail_budget import PAGE_OVERHEAD_BYTES, TailBudget
from hubbub.server.rooms.room import Room
from testing.delivery import ROOM, SlowReader, covered, long_posts, new_member, post, running_delivery

LINE = b"x" * 999 + b"\n"
SIZE = len(LINE) + PAGE_OVERHEAD_BYTES  # of a tail with it


@pytest.fixture(autouse=True)
def _three_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_budget, "BUDGET_BYTES", 3 * SIZE)


def write(budget: TailBudget, log: RoomLog) -> None:
    """Append a line to a log and flush it."""
    log.append(LINE, 1)
    log.unflushed.clear()
    budget.record(log)


def new_logs(count: int) -> list[RoomLog]:
    """Return empty logs."""
    return [RoomLog(str(number), str(number), 0) for number in range(count)]


def test_the_tail_written_least_recently_is_cleared_first() -> None:
    """The SEQs of its log go on, and the others keep their lines."""
    budget, logs = TailBudget(), new_logs(4)
    for log in (*logs[:3], logs[0], logs[3]):
        write(budget, log)
    assert [len(log.tail.pages) for log in logs] == [2, 0, 0, 1]
    assert [log.tail.seq for log in logs] == [2, 1, 1, 1]


def test_unflushed_lines_stay() -> None:
    """The next tail is cleared instead."""
    budget, logs = TailBudget(), new_logs(4)
    for log in logs[:3]:
        write(budget, log)
    logs[0].append(LINE, 1)
    write(budget, logs[3])
    assert [len(log.tail.pages) for log in logs] == [2, 0, 1, 1]


def test_a_forgotten_log_takes_nothing() -> None:
    """Its place is for another one."""
    budget, logs = TailBudget(), new_logs(4)
    for log in logs[:3]:
        write(budget, log)
    budget.forget(logs[1])
    write(budget, logs[3])
    assert [len(log.tail.pages) for log in logs] == [1, 1, 1, 1]


def test_a_lagging_subscriber_whose_tail_was_cleared_gets_every_line(reader: SlowReader) -> None:
    """Its lines come from the journal, in order and without a gap."""
    with running_delivery() as delivery:
        other, _ = new_member()
        delivery.submit(Subscribe(reader.member, ROOM, 1))
        for number in range(20):
            delivery.submit_posts(long_posts(ROOM, 20))
            delivery.submit_posts([post(Room(f"r{number}", f"r{number}"), "x" * 1_500)])
            delivery.flush(other)
        delivery.submit_posts([post(ROOM, "end")])
        assert covered(reader.read_until(b"red end\n")[1:]) == list(range(1, 402))
