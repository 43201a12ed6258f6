"""The members of the room, and the rooms, as far as the client knows them."""

import pytest

from hubbub.client.state import roster as roster_module
from hubbub.client.state.roster import Member, Roster
from hubbub.protocol import Acted, End, Event, Joined, Left, MemberRow, PrivateMessage, Renamed, RoomRow, Said


def said(name: str, time: int, room: str = "lobby") -> Said:
    """Return a message of `name` at `time`."""
    return Said(room, time, time, name, "red", "text")


def joined(name: str, room: str = "lobby") -> Joined:
    """Return that `name` joins."""
    return Joined(room, 1, name, "red")


def roster_after(*events: Event) -> Roster:
    """Return the roster of the lobby after these events."""
    roster = Roster()
    roster.enter("lobby")
    for event in events:
        roster.update(event)
    return roster


def names(roster: Roster, me: str = "me") -> list[str]:
    """Return the names of the others."""
    return [member.name for member in roster.others(me)]


def rooms(roster: Roster) -> list[str]:
    """Return the names of the rooms."""
    return [row.room for row in roster.rooms()]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], ""),
        ([joined("dora"), joined("Bob"), joined("carol")], "Bob carol dora"),
        ([joined("bob"), joined("carol"), said("carol", 5)], "carol bob"),
        ([said("bob", 5), said("carol", 6), said("bob", 7)], "bob carol"),
        ([said("bob", 5), Acted("lobby", 6, 6, "carol", "red", "waves")], "carol bob"),
        ([said("bob", 5), joined("amy"), PrivateMessage(6, "carol", "red", "me", "psst")], "carol bob amy"),
        ([said("bob", 5), said("carol", 6), said("bob", 2)], "carol bob"),  # an old line, shown once more
        ([said("bob", 5), said("BOB", 6)], "BOB"),
        ([joined("bob"), Left("lobby", 5, "BOB", "red", "exit")], ""),
        ([said("bob", 5), Left("lobby", 6, "bob", "red", "exit"), joined("amy"), joined("bob")], "amy bob"),
        ([MemberRow("bob", "red", "lobby", 3), MemberRow("amy", "red", "lobby", 3), End("who")], "amy bob"),
        ([said("bob", 5), MemberRow("amy", "red", "lobby", 3), MemberRow("bob", "red", "lobby", 0)], "bob amy"),
        ([said("me", 5), joined("ME"), joined("bob")], "bob"),
        ([joined("bob", "LOBBY")], "bob"),
    ],
)
def test_last_speaker_comes_first(events: list[Event], expected: str) -> None:
    """Those who have not spoken follow by name; each is there once, and the user is not."""
    assert " ".join(names(roster_after(*events))) == expected


@pytest.mark.parametrize(
    "event",
    [
        joined("bob", "ops"),
        said("bob", 5, "ops"),
        Acted("ops", 5, 5, "bob", "red", "waves"),
        MemberRow("bob", "red", "ops", 3),
        Renamed("ops", 5, "alice", "red", "bob"),
    ],
)
def test_members_of_another_room_do_not_count(event: Event) -> None:
    """Events of other rooms say nothing about this one."""
    assert names(roster_after(event)) == []


def test_leaving_another_room_changes_nothing_here() -> None:
    """The same user may be known in two rooms."""
    assert names(roster_after(joined("bob"), Left("ops", 5, "bob", "red", "leave"))) == ["bob"]


def test_new_name_has_the_place_of_the_old_one() -> None:
    """With its new colour."""
    roster = roster_after(said("amy", 4), said("bob", 5), said("carol", 6), Renamed("lobby", 7, "bob", "teal", "zoe"))

    assert roster.others("me") == (Member("carol", "red"), Member("zoe", "teal"), Member("amy", "red"))


def test_new_color_is_known() -> None:
    """Names are completed in their present colour."""
    roster = roster_after(said("bob", 5), joined("amy"), Renamed("lobby", 6, "bob", "teal", "bob"))

    assert roster.others("me") == (Member("bob", "teal"), Member("amy", "red"))


def test_unknown_user_who_is_renamed_is_a_member() -> None:
    """Only members are renamed in a room."""
    assert names(roster_after(Renamed("lobby", 5, "bob", "red", "zoe"))) == ["zoe"]


def test_other_room_has_other_members() -> None:
    """No member of the lobby is offered in another room."""
    roster = roster_after(said("bob", 5))
    roster.enter("ops")
    assert names(roster) == []


def test_order_is_that_of_one_room() -> None:
    """A speaker of another room has not spoken in this one."""
    roster = roster_after(said("bob", 5))
    roster.enter("ops")
    for event in (joined("bob", "ops"), joined("amy", "ops")):
        roster.update(event)

    assert names(roster) == ["amy", "bob"]


def test_members_are_known_after_entering_the_same_room_again() -> None:
    """A lost connection drops no names."""
    roster = roster_after(said("bob", 5))
    roster.enter("Lobby")
    assert names(roster) == ["bob"]


def test_of_too_many_members_the_most_silent_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who have not spoken are dropped first."""
    monkeypatch.setattr(roster_module, "MEMBERS_MAX", 3)
    roster = roster_after(said("bob", 5), joined("amy"), said("carol", 6), said("dora", 7))
    assert names(roster) == ["dora", "carol", "bob"]

    roster.update(said("eve", 8))

    assert names(roster) == ["eve", "dora", "carol"]


def test_rooms_grow_while_an_answer_arrives() -> None:
    """A room is known as soon as its row has come."""
    roster = roster_after(RoomRow("ops", 2, "locked"), RoomRow("lobby", 3, "-"))

    assert roster.rooms() == (RoomRow("lobby", 3, "-"), RoomRow("ops", 2, "locked"))


def test_complete_answer_replaces_the_one_before() -> None:
    """A room that is gone is dropped, and the order is the new one."""
    roster = roster_after(
        *(RoomRow(name, 1, "-") for name in ("lobby", "gone", "ops")),
        End("list"),
        *(RoomRow(name, 2, "-") for name in ("lobby", "attic", "ops")),
    )
    assert rooms(roster) == ["lobby", "gone", "ops", "attic"]

    roster.update(End("list"))

    assert roster.rooms() == tuple(RoomRow(name, 2, "-") for name in ("lobby", "attic", "ops"))


def test_end_of_another_answer_changes_no_rooms() -> None:
    """Only the end of a list counts."""
    assert rooms(roster_after(RoomRow("ops", 1, "-"), End("who"))) == ["lobby", "ops"]


def test_answer_that_was_cut_off_is_dropped() -> None:
    """After a lost connection the next answer starts again."""
    roster = roster_after(RoomRow("gone", 1, "-"))
    roster.enter("lobby")
    for event in (RoomRow("lobby", 1, "-"), End("list")):
        roster.update(event)

    assert rooms(roster) == ["lobby"]


def test_room_is_known_as_soon_as_it_is_entered() -> None:
    """Also if an older list comes after."""
    roster = roster_after()
    roster.enter("ops")
    assert rooms(roster) == ["lobby", "ops"]

    for event in (RoomRow("lobby", 1, "-"), End("list")):
        roster.update(event)

    assert rooms(roster) == ["lobby", "ops"]


def test_entering_a_known_room_keeps_its_row() -> None:
    """The list says more about a room."""
    roster = roster_after(RoomRow("ops", 2, "locked"))
    roster.enter("OPS")

    assert roster.rooms()[1] == RoomRow("ops", 2, "locked")


def test_rooms_beyond_the_limit_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are known are still updated."""
    monkeypatch.setattr(roster_module, "ROOMS_MAX", 2)
    roster = roster_after(*(RoomRow(name, 1, "-") for name in ("lobby", "ops", "more")), RoomRow("ops", 5, "-"))
    assert roster.rooms() == (RoomRow("lobby", 1, "-"), RoomRow("ops", 5, "-"))

    roster.update(End("list"))

    assert roster.rooms() == (RoomRow("lobby", 1, "-"), RoomRow("ops", 5, "-"))


def test_nothing_is_known_at_first() -> None:
    """Before a room is entered there is none, whatever the server sends."""
    roster = Roster()
    roster.update(End("list"))

    assert (roster.others("me"), roster.rooms()) == ((), ())
