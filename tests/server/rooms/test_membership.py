"""Names and rooms, without sockets: the delivery is a list of what was queued."""

import threading
from typing import cast

import pytest

from hubbub.protocol import LOBBY, PRESENCE_MEMBERS, Joined, Left, MemberRow, ProtocolError, Renamed, RoomRow
from hubbub.server.access.limits import Limits
from hubbub.server.access.moderation import Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.backend import LocalBackend
from hubbub.server.delivery.actions import Action, Broadcast, StoreSession, Subscribe, Unsubscribe
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.journal.memory import MemoryJournal
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.membership import Counts, Membership
from hubbub.server.rooms.name_claims import NameClaims
from hubbub.server.rooms.presence import Presence
from hubbub.server.rooms.room import Member
from testing.delivery import ListTransport


class Queue:
    """Stands for the delivery: keeps what is queued."""

    def __init__(self) -> None:
        self.entries: list[Action] = []

    def enqueue(self, *entries: Action) -> None:
        self.entries.extend(entries)

    def wake(self) -> None:
        """Nobody sleeps here."""

    def shown(self) -> list[object]:
        """Return the events for rooms, and forget everything."""
        events: list[object] = [entry.event for entry in self.entries if isinstance(entry, Broadcast)]
        self.entries.clear()
        return events


class ServerContext:
    """A membership, its queue, and people in the lobby."""

    def __init__(self, *names: str, limits: Limits | None = None) -> None:
        self.queue = Queue()
        delivery = cast(Delivery, self.queue)
        journal, limits = MemoryJournal(), limits or Limits()
        backend, room_keys, moderation = LocalBackend(journal), RoomKeys(journal), Moderation(journal)
        ownership = NameOwnership(journal, clock=lambda: 1.0)
        directory = Directory(delivery, room_keys, clock=lambda: 1.0)
        claims = NameClaims(directory, ownership, backend)
        access = (limits, ownership, moderation)
        self.membership = Membership(directory, claims, *access, room_keys, backend, uptime=lambda: 9.5)
        self.presence = Presence(directory, claims, *access, backend, uptime=lambda: 9.5)
        self.people = {name: self.come(name) for name in names}
        self.queue.entries.clear()

    def come(self, name: str) -> Member:
        member = Member(ListTransport())
        self.membership.sign_in(member, name, "red", f"token of {name}")
        return member


def test_a_name_is_had_by_one() -> None:
    """A name in another case, or spelt with full-width letters, is the same name."""
    context = ServerContext("Straße")
    for same in ("straße", "STRASSE", "Ｓtrasse"):
        with pytest.raises(ProtocolError, match="name-taken"):
            context.membership.sign_in(Member(ListTransport()), same, "red", "token")


@pytest.mark.parametrize("name", ["аlice", "АLICE", "a1ice", "ѕеrver", "Everyоne"])
def test_a_look_alike_is_taken(name: str) -> None:
    """Who could be mistaken for somebody, or for the server, does not get in."""
    with pytest.raises(ProtocolError, match=r"name-taken.*looks like"):
        ServerContext("alice").come(name)


def test_a_look_alike_is_not_the_same() -> None:
    """A private message to one who is called differently does not reach him."""
    with pytest.raises(ProtocolError, match="no-such-person"):
        ServerContext("alice").membership.find("аlice")


def test_a_rename_to_a_look_alike_is_refused() -> None:
    """Of another; of oneself it is a name like any."""
    context = ServerContext("alice", "bob")
    with pytest.raises(ProtocolError, match="name-taken"):
        context.membership.rename(context.people["bob"], "аlice", "red")
    context.membership.rename(context.people["alice"], "аlice", "red")
    with pytest.raises(ProtocolError, match="name-taken"):
        context.membership.rename(context.people["bob"], "alice", "red")


def test_a_look_is_free_when_its_owner_has_left_or_changed_it() -> None:
    """And not before: neither while his connection is lost nor after he came back on another."""
    context = ServerContext("alice")
    context.presence.hold_place(context.people["alice"])
    again = Member(ListTransport())
    context.presence.resume(again, "token of alice", LOBBY, 0)
    with pytest.raises(ProtocolError, match="name-taken"):
        context.come("аlice")
    context.membership.rename(again, "carol", "red")
    context.membership.leave(context.come("аlice"), "exit")
    context.membership.leave(again, "exit")
    context.come("сarol")


def test_a_name_is_free_again_when_its_owner_has_left() -> None:
    """Leaving frees the name, twice as well as once."""
    context = ServerContext("bob")
    context.membership.leave(context.people["bob"], "exit")
    context.membership.leave(context.people["bob"], "exit")
    context.come("bob")
    assert context.membership.count() == Counts(1, 1)


def test_leaving_without_a_name_is_nothing() -> None:
    """Somebody who never said who he is may go."""
    context = ServerContext()
    context.membership.leave(Member(ListTransport()), "lost")
    assert context.queue.entries == []


def test_a_rename_is_shown_and_frees_the_old_name() -> None:
    """The room sees the old and the new name, and the old one may be taken."""
    context = ServerContext("bob")
    context.membership.rename(context.people["bob"], "rob", "teal")
    assert context.queue.shown() == [Renamed(LOBBY, 1000, "bob", "teal", "rob")]
    context.come("bob")
    assert [row.name for row in context.membership.list_members(LOBBY)] == ["bob", "rob"]


def test_one_may_change_the_case_of_ones_name() -> None:
    """A name is not taken by its owner."""
    context = ServerContext("bob")
    context.membership.rename(context.people["bob"], "Bob", "red")
    assert context.membership.find("bob").name == "Bob"


def test_a_rename_to_the_same_is_not_shown() -> None:
    """Nothing has changed, so nobody is told."""
    context = ServerContext("bob")
    context.membership.rename(context.people["bob"], "bob", "red")
    assert context.queue.shown() == []


def test_a_refused_rename_changes_nothing() -> None:
    """Who wants a taken name keeps his own."""
    context = ServerContext("bob", "alice")
    with pytest.raises(ProtocolError, match="name-taken"):
        context.membership.rename(context.people["bob"], "ALICE", "teal")
    assert (context.people["bob"].name, context.people["bob"].color, context.queue.shown()) == ("bob", "red", [])


def test_who_was_replaced_can_change_nothing() -> None:
    """What a lost connection still had to say about names harms nobody: neither the name wanted nor the name had."""
    context = ServerContext("bob")
    before, again = context.people["bob"], Member(ListTransport())
    context.presence.resume(again, "token of bob", LOBBY, 0)
    for change in (
        lambda: context.membership.rename(before, "rob", "red"),
        lambda: context.membership.join_room(before, "ops"),
    ):
        with pytest.raises(ProtocolError, match="not-allowed"):
            change()
    context.membership.leave(before, "lost")
    assert context.membership.find("bob") is again
    context.come("rob")


def test_going_to_a_room_is_seen_in_both() -> None:
    """The old room sees one leave, the new one sees one come; he himself departs before and enters after."""
    context = ServerContext("bob", "alice")
    bob = context.people["bob"]
    context.membership.join_room(bob, "ops")
    depart, left, joined, enter, keep = context.queue.entries
    assert isinstance(depart, Unsubscribe)
    assert isinstance(left, Broadcast)
    assert left.event == Left(LOBBY, 1000, "bob", "red", "leave")
    assert isinstance(joined, Broadcast)
    assert joined.event == Joined("ops", 1000, "bob", "red")
    assert isinstance(enter, Subscribe)
    assert (enter.member, enter.people) == (bob, 1)
    assert isinstance(keep, StoreSession)
    assert (keep.name, keep.room, keep.ended) == ("bob", "ops", False)


def test_rooms_that_are_the_same_are_one() -> None:
    """A room keeps the spelling of whoever made it."""
    context = ServerContext("bob", "alice")
    context.membership.join_room(context.people["bob"], "Ops")
    assert context.membership.join_room(context.people["alice"], "OPS") == "Ops"


def test_a_room_that_looks_like_one_that_is_there() -> None:
    """Is not made; when that one is gone it may be."""
    context = ServerContext("bob", "alice")
    context.membership.join_room(context.people["bob"], "ops")
    for name in ("орs", "lоbby", "0PS"):
        with pytest.raises(ProtocolError, match=r"room-invalid.*looks like"):
            context.membership.join_room(context.people["alice"], name)
    context.membership.leave(context.people["bob"], "exit")
    context.membership.join_room(context.people["alice"], "орs")


def test_one_comes_back_to_a_room_that_another_looks_like_by_now() -> None:
    """Who was in a room is not kept out of it."""
    context = ServerContext("bob", "alice")
    context.membership.join_room(context.people["bob"], "ops")
    state = context.people["bob"].state
    context.membership.leave(context.people["bob"], "lost")
    context.membership.join_room(context.people["alice"], "орs")
    again = Member(ListTransport())
    assert state is not None
    state.room = "ops"  # as the delivery thread notes it
    state.name, state.color = "bob", "red"
    context.presence.resume(again, "token of bob", "ops", 0)
    assert again.room is not None
    assert again.room.name == "ops"


def test_so_many_rooms_and_no_more() -> None:
    """The lobby is one of them; what is there can be entered, and when a room goes another may be made."""
    context = ServerContext("bob", "alice", "carl", limits=Limits(max_rooms=2))
    context.membership.join_room(context.people["bob"], "ops")
    with pytest.raises(ProtocolError, match=r"too-many.*2 rooms"):
        context.membership.join_room(context.people["alice"], "zoo")
    context.membership.join_room(context.people["carl"], "ops")
    context.membership.leave(context.people["carl"], "exit")
    context.membership.join_room(context.people["bob"], LOBBY)
    context.membership.join_room(context.people["alice"], "zoo")


def test_so_many_rooms_of_one_member() -> None:
    """Those that are still there count, for him alone."""
    context = ServerContext("bob", "alice", "carl", limits=Limits(max_rooms_per_member=2))
    bob = context.people["bob"]
    for name, guest in (("ant", "alice"), ("bee", "carl")):
        context.membership.join_room(bob, name)
        context.membership.join_room(context.people[guest], name)
    with pytest.raises(ProtocolError, match=r"too-many.*2 rooms that you made"):
        context.membership.join_room(bob, "cow")
    context.membership.join_room(context.people["alice"], "dog")
    context.membership.join_room(bob, "cow")


def test_one_is_not_let_in_where_one_is() -> None:
    """Joining one's own room is refused, and nobody sees anything."""
    context = ServerContext("bob")
    with pytest.raises(ProtocolError, match="not-allowed"):
        context.membership.join_room(context.people["bob"], "LOBBY")
    assert context.queue.entries == []


def test_list_has_the_lobby_first_and_no_empty_room() -> None:
    """A private room is there from the first join until its last member goes; the lobby always is."""
    context = ServerContext("bob", "alice", "carl")
    context.membership.join_room(context.people["bob"], "zoo")
    context.membership.join_room(context.people["alice"], "ant")
    context.membership.join_room(context.people["carl"], "gone")
    context.membership.leave(context.people["carl"], "exit")
    assert context.membership.list_rooms() == [RoomRow("lobby", 0, "-"), RoomRow("ant", 1, "-"), RoomRow("zoo", 1, "-")]


def test_who_tells_how_long_each_was_idle() -> None:
    """IDLE counts whole seconds since one last did something."""
    context = ServerContext("bob")
    context.people["bob"].last_active = 5.0
    assert context.membership.list_members("LOBBY") == [MemberRow("bob", "red", LOBBY, 4)]


def test_who_of_a_room_that_is_not_there() -> None:
    """The error says where rooms are listed."""
    with pytest.raises(ProtocolError, match="/list"):
        ServerContext("bob").membership.list_members("ops")


def test_nobody_is_told_who_comes_and_goes_in_a_big_room() -> None:
    """Past PRESENCE_MEMBERS nobody could read it."""
    context = ServerContext(*(f"p{number}" for number in range(PRESENCE_MEMBERS)))
    late = context.come("late")
    assert context.queue.shown() == []
    context.membership.leave(late, "exit")
    assert len(context.queue.shown()) == 1


def test_a_server_that_stops_lets_nobody_in_and_all_out_in_silence() -> None:
    """Ten thousand leaving need not see each other leave."""
    context = ServerContext("bob", "alice")
    context.presence.stop()
    with pytest.raises(ProtocolError, match="server-stopping"):
        context.membership.join_room(context.people["bob"], "ops")
    context.membership.leave(context.people["bob"], "exit")
    assert context.queue.shown() == []


def test_many_threads_moving_leave_the_counts_right() -> None:
    """Counts and tables agree after a storm of moves and renames."""
    context = ServerContext(*(f"p{number}" for number in range(8)))

    def wander(name: str, member: Member) -> None:
        for step in range(200):
            context.membership.rename(member, f"{name}-{step % 3}", "teal")
            with_room = (LOBBY, "ant", "bee")[step % 3]
            if member.room is None or member.room.name != with_room:
                context.membership.join_room(member, with_room)
        context.membership.leave(member, "exit")

    threads = [threading.Thread(target=wander, args=item) for item in context.people.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert context.membership.count() == Counts(0, 1)
