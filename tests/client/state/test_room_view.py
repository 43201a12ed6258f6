"""Where the person is: which lines are new, how many people are there, and what the status says of it."""

import pytest

from hubbub.client.state import read_position as seen
from hubbub.client.state.notification import Age
from hubbub.client.state.read_position import ReadPosition
from hubbub.client.state.room_view import RoomView
from hubbub.client.state.status import Status
from hubbub.protocol import PRESENCE_MEMBERS, Entered, Event, Gap, Joined, Left, Said


def line(seq: int, room: str = "lobby", time: int = 0) -> Said:
    """Return a line of `room`; each is a millisecond later than the one before."""
    return Said(room, seq, time or seq, "bob", "red", "text")


def test_line_is_new_once() -> None:
    """In each room for itself, however its name is written."""
    seen = ReadPosition()
    assert [seen.advance(line(1)), seen.advance(line(1)), seen.advance(line(1, "Lobby"))] == [True, False, False]
    assert seen.advance(line(1, "ops"))
    assert seen.last("LOBBY") == 1


def test_gap_counts_as_seen() -> None:
    """What is no longer kept is not asked for."""
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
        (500, True, 300, 250),  # begun anew
        (500, False, 3, 0),
    ],
)
def test_lines_that_follow_an_entry(have: int, resumed: bool, last: int, expected: int) -> None:
    """They are what a client has yet to get."""
    seen = ReadPosition()
    if have:
        seen.advance(line(have))
    seen.enter(Entered("lobby", last, 1, "-"), resumed=resumed)
    assert seen.last("lobby") == expected


def test_rooms_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was not heard of for longest goes first."""
    monkeypatch.setattr(seen, "ROOMS", 2)
    rooms = ReadPosition()
    for room in ("a", "b", "a", "c"):
        rooms.advance(line(rooms.last(room) + 1, room))
    assert [rooms.last(room) for room in "abc"] == [2, 0, 1]


def test_people_are_counted() -> None:
    """Those of this room, and as long as the server tells."""
    view = RoomView()
    view.enter(Entered("lobby", 0, PRESENCE_MEMBERS, "-"))
    events: list[Event] = [Left("lobby", 0, "bob", "red", "exit"), Joined("ops", 0, "bob", "red")]
    assert [view.age(event, repeat=False) for event in events] == [Age.LIVE, Age.LIVE]
    assert view.people == PRESENCE_MEMBERS - 1
    view.enter(Entered("lobby", 0, PRESENCE_MEMBERS + 1, "-"))
    assert view.people is None


def test_room_that_is_passed_through_is_not_shown() -> None:
    """Its lines are new still when the person comes to read them."""
    view = RoomView()
    view.enter(Entered("lobby", 1, 1, "-"))
    assert not view.begin(passing=True)
    assert view.age(line(1), repeat=False) is None
    assert view.begin(passing=False)
    assert not view.begin(passing=False)
    assert view.age(line(1), repeat=False) is Age.PAST


@pytest.mark.parametrize(("back", "expected"), [(False, Age.PAST), (True, Age.MISSED)])
def test_line_is_as_old_as_the_person_sees_it(back: bool, expected: Age) -> None:
    """What was said before we came, or while the connection was lost, is not new; and what is asked for again."""
    view = RoomView()
    view.enter(Entered("lobby", 0, 1, "-"))
    view.enter(Entered("lobby", 1, 1, "-"), returning=back, resumed=back)
    assert view.age(line(1), repeat=False) is expected
    assert view.age(line(2), repeat=False) is Age.LIVE
    assert view.age(line(1), repeat=True) is Age.PAST
    assert view.age(line(1), repeat=False) is None


def test_lines_that_do_not_come() -> None:
    """Only what should have come is missing: neither the past, nor what comes twice, nor another room's lines."""
    view = RoomView()
    view.enter(Entered("lobby", 7, 2, "-"))
    holes = []
    for event in (line(5), line(8), line(8), line(20, "ops"), Gap("lobby", 9, 9), line(10), line(14)):
        holes.append(list(view.missing_before(event)))
        view.age(event, repeat=False)
    assert holes == [[], [], [], [], [], [], [11, 12, 13]]


@pytest.mark.parametrize(
    ("status", "row"),
    [
        (Status("lobby", None, "connected", (), 0), "lobby · connected"),
        (Status("lobby", 1, "connected", (), 0), "lobby · 1 person · connected"),
        (Status("lobby", 3, "connected", ("a",), 1), "lobby · 3 people · connected · 1 unsent"),
        (Status("lobby", 3, "connected", (), 0, 0.5), "lobby · 3 people · connected"),
        (Status("lobby", 3, "connected", (), 0, 0.62), "lobby · 3 people · connected · 620 ms"),
        (Status("lobby", 3, "connected", (), 0, 2.5), "lobby · 3 people · connected · 2.5 s"),
    ],
)
def test_status_line(status: Status, row: str) -> None:
    """It is short, and says no more than there is to say."""
    assert status.line() == row


def test_status_line_counts_mentions() -> None:
    """One is one."""
    status = Status("lobby", None, "connected", (), 0)
    assert [status.line(1), status.line(2)] == ["lobby · connected · 1 mention", "lobby · connected · 2 mentions"]


def test_unsent_rows() -> None:
    """The first ones, and how many there are besides."""
    assert Status("lobby", None, "", ("a", "b"), 2).unsent_lines == ["… a", "… b"]
    assert Status("lobby", None, "", ("a", "b"), 9).unsent_lines == ["… a", "… b", "… and 7 more"]
