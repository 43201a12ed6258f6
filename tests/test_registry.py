"""Names and rooms, without sockets: the delivery is a list of what was queued."""

import threading
from typing import cast

import pytest

from protocol import LOBBY, PRESENCE_PEOPLE, Joined, Left, PersonRow, ProtocolError, Renamed, RoomRow
from server.delivery import Delivery
from server.entries import Depart, Enter, Entry, Keep, Show
from server.journal import MemoryJournal
from server.limits import Limits
from server.names import Names
from server.registry import Counts, Registry
from server.room import Member
from tests.test_delivery import ListOutlet


class Queue:
    """Stands for the delivery: keeps what is queued."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def queue(self, *entries: Entry) -> None:
        self.entries.extend(entries)

    def wake(self) -> None:
        """Nobody sleeps here."""

    def shown(self) -> list[object]:
        """Return the events for rooms, and forget everything."""
        events: list[object] = [entry.event for entry in self.entries if isinstance(entry, Show)]
        self.entries.clear()
        return events


class House:
    """A registry, its queue, and people in the lobby."""

    def __init__(self, *names: str, limits: Limits | None = None) -> None:
        self.queue = Queue()
        delivery = cast(Delivery, self.queue)
        journal = MemoryJournal()
        owned = Names(journal, clock=lambda: 1.0)
        self.registry = Registry(delivery, journal, limits or Limits(), owned, clock=lambda: 1.0, uptime=lambda: 9.5)
        self.people = {name: self.come(name) for name in names}
        self.queue.entries.clear()

    def come(self, name: str) -> Member:
        member = Member(ListOutlet())
        self.registry.come(member, name, "red", f"token of {name}")
        return member


def test_a_name_is_had_by_one() -> None:
    """A name in another case, or spelt with full-width letters, is the same name."""
    house = House("Straße")
    for same in ("straße", "STRASSE", "Ｓtrasse"):
        with pytest.raises(ProtocolError, match="name-taken"):
            house.registry.come(Member(ListOutlet()), same, "red", "token")


@pytest.mark.parametrize("name", ["аlice", "АLICE", "a1ice", "ѕеrver", "Everyоne"])
def test_a_look_alike_is_taken(name: str) -> None:
    """Who could be mistaken for somebody, or for the server, does not get in."""
    with pytest.raises(ProtocolError, match=r"name-taken.*looks like"):
        House("alice").come(name)


def test_a_look_alike_is_not_the_same() -> None:
    """A private message to one who is called differently does not reach him."""
    with pytest.raises(ProtocolError, match="no-such-person"):
        House("alice").registry.find("аlice")


def test_a_rename_to_a_look_alike_is_refused() -> None:
    """Of another; of oneself it is a name like any."""
    house = House("alice", "bob")
    with pytest.raises(ProtocolError, match="name-taken"):
        house.registry.rename(house.people["bob"], "аlice", "red")
    house.registry.rename(house.people["alice"], "аlice", "red")
    with pytest.raises(ProtocolError, match="name-taken"):
        house.registry.rename(house.people["bob"], "alice", "red")


def test_a_look_is_free_when_its_owner_has_left_or_changed_it() -> None:
    """And not before: neither while his connection is lost nor after he came back on another."""
    house = House("alice")
    house.registry.lose(house.people["alice"])
    again = Member(ListOutlet())
    house.registry.resume(again, "token of alice", LOBBY, 0)
    with pytest.raises(ProtocolError, match="name-taken"):
        house.come("аlice")
    house.registry.rename(again, "carol", "red")
    house.registry.leave(house.come("аlice"), "exit")
    house.registry.leave(again, "exit")
    house.come("сarol")


def test_a_name_is_free_again_when_its_owner_has_left() -> None:
    """Leaving frees the name, twice as well as once."""
    house = House("bob")
    house.registry.leave(house.people["bob"], "exit")
    house.registry.leave(house.people["bob"], "exit")
    house.come("bob")
    assert house.registry.counts() == Counts(1, 1)


def test_leaving_without_a_name_is_nothing() -> None:
    """Somebody who never said who he is may go."""
    house = House()
    house.registry.leave(Member(ListOutlet()), "lost")
    assert house.queue.entries == []


def test_a_rename_is_shown_and_frees_the_old_name() -> None:
    """The room sees the old and the new name, and the old one may be taken."""
    house = House("bob")
    house.registry.rename(house.people["bob"], "rob", "teal")
    assert house.queue.shown() == [Renamed(LOBBY, 1000, "bob", "teal", "rob")]
    house.come("bob")
    assert [row.name for row in house.registry.people(LOBBY)] == ["bob", "rob"]


def test_one_may_change_the_case_of_ones_name() -> None:
    """A name is not taken by its owner."""
    house = House("bob")
    house.registry.rename(house.people["bob"], "Bob", "red")
    assert house.registry.find("bob").name == "Bob"


def test_a_rename_to_the_same_is_not_shown() -> None:
    """Nothing has changed, so nobody is told."""
    house = House("bob")
    house.registry.rename(house.people["bob"], "bob", "red")
    assert house.queue.shown() == []


def test_a_refused_rename_changes_nothing() -> None:
    """Who wants a taken name keeps his own."""
    house = House("bob", "alice")
    with pytest.raises(ProtocolError, match="name-taken"):
        house.registry.rename(house.people["bob"], "ALICE", "teal")
    assert (house.people["bob"].name, house.people["bob"].color, house.queue.shown()) == ("bob", "red", [])


def test_who_was_replaced_can_change_nothing() -> None:
    """What a lost connection still had to say about names harms nobody: neither the name wanted nor the name had."""
    house = House("bob")
    before, again = house.people["bob"], Member(ListOutlet())
    house.registry.resume(again, "token of bob", LOBBY, 0)
    for change in (lambda: house.registry.rename(before, "rob", "red"), lambda: house.registry.enter(before, "ops")):
        with pytest.raises(ProtocolError, match="not-allowed"):
            change()
    house.registry.leave(before, "lost")
    assert house.registry.find("bob") is again
    house.come("rob")


def test_going_to_a_room_is_seen_in_both() -> None:
    """The old room sees one leave, the new one sees one come; he himself departs before and enters after."""
    house = House("bob", "alice")
    bob = house.people["bob"]
    house.registry.enter(bob, "ops")
    depart, left, joined, enter, keep = house.queue.entries
    assert isinstance(depart, Depart)
    assert isinstance(left, Show)
    assert left.event == Left(LOBBY, 1000, "bob", "red", "leave")
    assert isinstance(joined, Show)
    assert joined.event == Joined("ops", 1000, "bob", "red")
    assert isinstance(enter, Enter)
    assert (enter.member, enter.people) == (bob, 1)
    assert isinstance(keep, Keep)
    assert (keep.name, keep.room, keep.ended) == ("bob", "ops", False)


def test_rooms_that_are_the_same_are_one() -> None:
    """A room keeps the spelling of whoever made it."""
    house = House("bob", "alice")
    house.registry.enter(house.people["bob"], "Ops")
    assert house.registry.enter(house.people["alice"], "OPS") == "Ops"


def test_a_room_that_looks_like_one_that_is_there() -> None:
    """Is not made; when that one is gone it may be."""
    house = House("bob", "alice")
    house.registry.enter(house.people["bob"], "ops")
    for name in ("орs", "lоbby", "0PS"):
        with pytest.raises(ProtocolError, match=r"room-invalid.*looks like"):
            house.registry.enter(house.people["alice"], name)
    house.registry.leave(house.people["bob"], "exit")
    house.registry.enter(house.people["alice"], "орs")


def test_one_comes_back_to_a_room_that_another_looks_like_by_now() -> None:
    """Who was in a room is not kept out of it."""
    house = House("bob", "alice")
    house.registry.enter(house.people["bob"], "ops")
    state = house.people["bob"].state
    house.registry.leave(house.people["bob"], "lost")
    house.registry.enter(house.people["alice"], "орs")
    again = Member(ListOutlet())
    assert state is not None
    state.room = "ops"  # as the delivery thread notes it
    state.name, state.color = "bob", "red"
    house.registry.resume(again, "token of bob", "ops", 0)
    assert again.room is not None
    assert again.room.name == "ops"


def test_so_many_rooms_and_no_more() -> None:
    """The lobby is one of them; what is there can be entered, and when a room goes another may be made."""
    house = House("bob", "alice", "carl", limits=Limits(rooms=2))
    house.registry.enter(house.people["bob"], "ops")
    with pytest.raises(ProtocolError, match=r"too-many.*2 rooms"):
        house.registry.enter(house.people["alice"], "zoo")
    house.registry.enter(house.people["carl"], "ops")
    house.registry.leave(house.people["carl"], "exit")
    house.registry.enter(house.people["bob"], LOBBY)
    house.registry.enter(house.people["alice"], "zoo")


def test_so_many_rooms_of_one_member() -> None:
    """Those that are still there count, for him alone."""
    house = House("bob", "alice", "carl", limits=Limits(rooms_per_member=2))
    bob = house.people["bob"]
    for name, guest in (("ant", "alice"), ("bee", "carl")):
        house.registry.enter(bob, name)
        house.registry.enter(house.people[guest], name)
    with pytest.raises(ProtocolError, match=r"too-many.*2 rooms that you made"):
        house.registry.enter(bob, "cow")
    house.registry.enter(house.people["alice"], "dog")
    house.registry.enter(bob, "cow")


def test_one_is_not_let_in_where_one_is() -> None:
    """Joining one's own room is refused, and nobody sees anything."""
    house = House("bob")
    with pytest.raises(ProtocolError, match="not-allowed"):
        house.registry.enter(house.people["bob"], "LOBBY")
    assert house.queue.entries == []


def test_list_has_the_lobby_first_and_no_empty_room() -> None:
    """A private room is there from the first join until its last member goes; the lobby always is."""
    house = House("bob", "alice", "carl")
    house.registry.enter(house.people["bob"], "zoo")
    house.registry.enter(house.people["alice"], "ant")
    house.registry.enter(house.people["carl"], "gone")
    house.registry.leave(house.people["carl"], "exit")
    assert house.registry.rooms() == [RoomRow("lobby", 0, "-"), RoomRow("ant", 1, "-"), RoomRow("zoo", 1, "-")]


def test_who_tells_how_long_each_was_idle() -> None:
    """IDLE counts whole seconds since one last did something."""
    house = House("bob")
    house.people["bob"].last_active = 5.0
    assert house.registry.people("LOBBY") == [PersonRow("bob", "red", LOBBY, 4)]


def test_who_of_a_room_that_is_not_there() -> None:
    """The error says where rooms are listed."""
    with pytest.raises(ProtocolError, match="/list"):
        House("bob").registry.people("ops")


def test_nobody_is_told_who_comes_and_goes_in_a_big_room() -> None:
    """Past PRESENCE_PEOPLE nobody could read it."""
    house = House(*(f"p{number}" for number in range(PRESENCE_PEOPLE)))
    late = house.come("late")
    assert house.queue.shown() == []
    house.registry.leave(late, "exit")
    assert len(house.queue.shown()) == 1


def test_a_server_that_stops_lets_nobody_in_and_all_out_in_silence() -> None:
    """Ten thousand leaving need not see each other leave."""
    house = House("bob", "alice")
    house.registry.stop()
    with pytest.raises(ProtocolError, match="server-stopping"):
        house.registry.enter(house.people["bob"], "ops")
    house.registry.leave(house.people["bob"], "exit")
    assert house.queue.shown() == []


def test_many_threads_moving_leave_the_counts_right() -> None:
    """Counts and tables agree after a storm of moves and renames."""
    house = House(*(f"p{number}" for number in range(8)))

    def wander(name: str, member: Member) -> None:
        for step in range(200):
            house.registry.rename(member, f"{name}-{step % 3}", "teal")
            with_room = (LOBBY, "ant", "bee")[step % 3]
            if member.room is None or member.room.name != with_room:
                house.registry.enter(member, with_room)
        house.registry.leave(member, "exit")

    threads = [threading.Thread(target=wander, args=item) for item in house.people.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert house.registry.counts() == Counts(0, 1)
