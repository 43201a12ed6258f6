"""Which lines of each room were received."""

import pytest

from hubbub.client.state import read_position as seen
from hubbub.client.state.read_position import ReadPosition
from hubbub.protocol import Entered, Gap, Said


def line(seq: int, room: str = "lobby", time: int = 0) -> Said:
    """Return a line of `room`; each is a millisecond later than the one before."""
    return Said(room, seq, time or seq, "bob", "red", "text")


def test_line_is_new_once() -> None:
    """In each room for itself, in any spelling of its name."""
    seen = ReadPosition()
    assert [seen.advance(line(1)), seen.advance(line(1)), seen.advance(line(1, "Lobby"))] == [True, False, False]
    assert seen.advance(line(1, "ops"))
    assert seen.last("LOBBY") == 1


def test_gap_counts_as_received() -> None:
    """Its lines are not asked for."""
    seen = ReadPosition()
    seen.skip(Gap("lobby", 1, 7))
    seen.skip(Gap("lobby", 3, 4))
    assert seen.last("lobby") == 7


@pytest.mark.parametrize(
    ("have", "resumed", "last", "expected"),
    [
        (0, False, 300, 250),  # the last 50 follow
        (280, False, 300, 280),
        (10, False, 30, 10),
        (10, True, 300, 10),  # exactly what is missing follows
        (500, True, 300, 250),  # created again
        (500, False, 3, 0),
    ],
)
def test_lines_that_follow_an_entry(have: int, resumed: bool, last: int, expected: int) -> None:
    """They are those that were not received."""
    seen = ReadPosition()
    if have:
        seen.advance(line(have))
    seen.enter(Entered("lobby", last, 1, "-"), resumed=resumed)
    assert seen.last("lobby") == expected


def test_room_without_lines_for_longest_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit."""
    monkeypatch.setattr(seen, "ROOMS", 2)
    rooms = ReadPosition()
    for room in ("a", "b", "a", "c"):
        rooms.advance(line(rooms.last(room) + 1, room))
    assert [rooms.last(room) for room in "abc"] == [2, 0, 1]
