"""The room that the screen shows: which lines are new, and how many members it has."""

import pytest

from hubbub.client.state.notification import Age
from hubbub.client.state.room_view import RoomView
from hubbub.protocol import PRESENCE_MEMBERS, Entered, Event, Gap, Joined, Left, Said


def line(seq: int, room: str = "lobby", time: int = 0) -> Said:
    """Return a line of `room`; each is a millisecond later than the one before."""
    return Said(room, seq, time or seq, "bob", "red", "text")


def test_members_are_counted() -> None:
    """Those of this room, as long as the server says how many."""
    view = RoomView()
    view.enter(Entered("lobby", 0, PRESENCE_MEMBERS, "-"))
    events: list[Event] = [Left("lobby", 0, "bob", "red", "exit"), Joined("ops", 0, "bob", "red")]
    assert [view.age(event, repeat=False) for event in events] == [Age.LIVE, Age.LIVE]
    assert view.people == PRESENCE_MEMBERS - 1
    view.enter(Entered("lobby", 0, PRESENCE_MEMBERS + 1, "-"))
    assert view.people is None


def test_room_on_the_way_is_not_shown() -> None:
    """Its lines are still new when the user stays in it."""
    view = RoomView()
    view.enter(Entered("lobby", 1, 1, "-"))
    assert not view.begin(passing=True)
    assert view.age(line(1), repeat=False) is None
    assert view.begin(passing=False)
    assert not view.begin(passing=False)
    assert view.age(line(1), repeat=False) is Age.PAST


@pytest.mark.parametrize(("back", "expected"), [(False, Age.PAST), (True, Age.MISSED)])
def test_age_of_a_line(back: bool, expected: Age) -> None:
    """What was posted before the entry, or while the connection was lost, is not live."""
    view = RoomView()
    view.enter(Entered("lobby", 0, 1, "-"))
    view.enter(Entered("lobby", 1, 1, "-"), returning=back, resumed=back)
    assert view.age(line(1), repeat=False) is expected
    assert view.age(line(2), repeat=False) is Age.LIVE
    assert view.age(line(1), repeat=True) is Age.PAST
    assert view.age(line(1), repeat=False) is None


def test_missing_lines() -> None:
    """Only those that should have come: not past or repeated ones, nor those of another room."""
    view = RoomView()
    view.enter(Entered("lobby", 7, 2, "-"))
    holes = []
    for event in (line(5), line(8), line(8), line(20, "ops"), Gap("lobby", 9, 9), line(10), line(14)):
        holes.append(list(view.missing_before(event)))
        view.age(event, repeat=False)
    assert holes == [[], [], [], [], [], [], [11, 12, 13]]
