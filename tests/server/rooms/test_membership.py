"""Names and rooms, without sockets: the delivery is a list of actions."""

import threading

import pytest

from hubbub.protocol import LOBBY, PRESENCE_MEMBERS, Joined, Left, MemberRow, ProtocolError, Renamed, RoomRow
from hubbub.server.access.limits import Limits
from hubbub.server.access.room_keys import RoomKey
from hubbub.server.access.scrypt import HashedSecret, ScryptHash
from hubbub.server.delivery.actions import Broadcast, StoreSession, Subscribe, Unsubscribe
from hubbub.server.rooms import membership
from hubbub.server.rooms.membership import Counts
from hubbub.server.rooms.room import Member
from testing.delivery import ListTransport
from testing.lookalikes import LOOKALIKES
from tests.server.rooms.chat import Chat


def test_name_has_one_member() -> None:
    """A name in another case, or in full-width letters, is the same name."""
    chat = Chat("Straße")
    for same in ("straße", "STRASSE", "Ｓtrasse"):
        with pytest.raises(ProtocolError, match="name-taken"):
            chat.membership.sign_in(Member(ListTransport()), same, "red", "token")


@pytest.mark.parametrize("name", ["аlice", "АLICE", "a1ice", "ѕеrver", "Everyоne"])
def test_confusable_name_is_refused(name: str) -> None:
    """A name that looks like a member, or the server, is taken."""
    with pytest.raises(ProtocolError, match=r"name-taken.*looks like"):
        Chat("alice").sign_in(name)


@pytest.mark.parametrize(("name", "lookalike"), LOOKALIKES)
def test_lookalike_of_a_member_is_refused(name: str, lookalike: str) -> None:
    """In every script, and whichever of the two came first."""
    for first, second in ((name, lookalike), (lookalike, name)):
        with pytest.raises(ProtocolError, match="name-taken"):
            Chat(first).sign_in(second)


def test_locked_rooms_that_look_the_same_since_an_update_open() -> None:
    """Version 0.1.0 let both be locked; who has a key gets in. A third one is refused."""
    chat, fact = Chat("alice", "bob"), RoomKey("", HashedSecret(ScryptHash.create("key")), "").to_fact()
    for name, room in (("alice", "kim"), ("bob", "\u043a\u0456\u043c")):
        chat.room_keys.apply_fact(room, fact)
        assert chat.membership.join_room(chat.members[name], room, chat.room_keys.find(room)) == room
    with pytest.raises(ProtocolError, match="room-invalid"):
        chat.membership.join_room(chat.members["bob"], "k\u0456m")


def test_find_does_not_take_a_confusable_name() -> None:
    """A private message to it does not reach the member it looks like."""
    with pytest.raises(ProtocolError, match="no-such-person"):
        Chat("alice").membership.find("аlice")


def test_rename_to_a_confusable_name() -> None:
    """Of someone else it is refused; one like the own name is allowed."""
    chat = Chat("alice", "bob")
    with pytest.raises(ProtocolError, match="name-taken"):
        chat.membership.rename(chat.members["bob"], "аlice", "red")
    chat.membership.rename(chat.members["alice"], "аlice", "red")
    with pytest.raises(ProtocolError, match="name-taken"):
        chat.membership.rename(chat.members["bob"], "alice", "red")


def test_confusable_name_is_free_after_leave_or_rename() -> None:
    """Not while its member is absent, nor after they resumed."""
    chat = Chat("alice")
    chat.presence.hold_place(chat.members["alice"])
    again = Member(ListTransport())
    chat.presence.resume(again, "token of alice", LOBBY, 0)
    with pytest.raises(ProtocolError, match="name-taken"):
        chat.sign_in("аlice")
    chat.membership.rename(again, "carol", "red")
    chat.membership.leave(chat.sign_in("аlice"), "exit")
    chat.membership.leave(again, "exit")
    chat.sign_in("сarol")


def test_name_is_free_after_leave() -> None:
    """Leaving twice is the same as once."""
    chat = Chat("bob")
    chat.membership.leave(chat.members["bob"], "exit")
    chat.membership.leave(chat.members["bob"], "exit")
    chat.sign_in("bob")
    assert chat.membership.count() == Counts(1, 1)


def test_leave_without_a_name() -> None:
    """Nothing happens."""
    chat = Chat()
    chat.membership.leave(Member(ListTransport()), "lost")
    assert chat.queue.entries == []


def test_rename_is_shown_and_frees_the_old_name() -> None:
    """The room sees both names, and the old one may be taken."""
    chat = Chat("bob")
    chat.membership.rename(chat.members["bob"], "rob", "teal")
    assert chat.queue.shown() == [Renamed(LOBBY, 1000, "bob", "teal", "rob")]
    chat.sign_in("bob")
    assert [row.name for row in chat.membership.list_members(LOBBY)] == ["bob", "rob"]


def test_rename_to_another_case() -> None:
    """A name is not taken by the member who has it."""
    chat = Chat("bob")
    chat.membership.rename(chat.members["bob"], "Bob", "red")
    assert chat.membership.find("bob").name == "Bob"


def test_rename_to_the_same_name() -> None:
    """Nothing has changed, so nothing is shown."""
    chat = Chat("bob")
    chat.membership.rename(chat.members["bob"], "bob", "red")
    assert chat.queue.shown() == []


def test_refused_rename() -> None:
    """It changes nothing."""
    chat = Chat("bob", "alice")
    with pytest.raises(ProtocolError, match="name-taken"):
        chat.membership.rename(chat.members["bob"], "ALICE", "teal")
    assert (chat.members["bob"].name, chat.members["bob"].color, chat.queue.shown()) == ("bob", "red", [])


def test_replaced_connection_can_change_nothing() -> None:
    """Neither the name it asks for nor the one it had is affected."""
    chat = Chat("bob")
    before, again = chat.members["bob"], Member(ListTransport())
    chat.presence.resume(again, "token of bob", LOBBY, 0)
    for change in (
        lambda: chat.membership.rename(before, "rob", "red"),
        lambda: chat.membership.join_room(before, "ops"),
    ):
        with pytest.raises(ProtocolError, match="not-allowed"):
            change()
    chat.membership.leave(before, "lost")
    assert chat.membership.find("bob") is again
    chat.sign_in("rob")


def test_join_is_shown_in_both_rooms() -> None:
    """The member unsubscribes before, and subscribes after."""
    chat = Chat("bob", "alice")
    bob = chat.members["bob"]
    chat.membership.join_room(bob, "ops")
    depart, left, joined, enter, keep = chat.queue.entries
    assert isinstance(depart, Unsubscribe)
    assert isinstance(left, Broadcast)
    assert left.event == Left(LOBBY, 1000, "bob", "red", "leave")
    assert isinstance(joined, Broadcast)
    assert joined.event == Joined("ops", 1000, "bob", "red")
    assert isinstance(enter, Subscribe)
    assert (enter.member, enter.member_count) == (bob, 1)
    assert isinstance(keep, StoreSession)
    assert (keep.name, keep.room, keep.ended) == ("bob", "ops", False)


def test_room_keeps_its_first_spelling() -> None:
    """Another case is the same room."""
    chat = Chat("bob", "alice")
    chat.membership.join_room(chat.members["bob"], "Ops")
    assert chat.membership.join_room(chat.members["alice"], "OPS") == "Ops"


def test_room_that_looks_like_an_open_one() -> None:
    """It is refused until that one closes."""
    chat = Chat("bob", "alice")
    chat.membership.join_room(chat.members["bob"], "ops")
    for name in ("орs", "lоbby", "0PS"):
        with pytest.raises(ProtocolError, match=r"room-invalid.*looks like"):
            chat.membership.join_room(chat.members["alice"], name)
    chat.membership.leave(chat.members["bob"], "exit")
    chat.membership.join_room(chat.members["alice"], "орs")


def test_resume_in_a_room_that_another_looks_like() -> None:
    """A member is not kept out of the room they were in."""
    chat = Chat("bob", "alice")
    chat.membership.join_room(chat.members["bob"], "ops")
    state = chat.members["bob"].state
    chat.membership.leave(chat.members["bob"], "lost")
    chat.membership.join_room(chat.members["alice"], "орs")
    again = Member(ListTransport())
    assert state is not None
    state.room = "ops"  # as the delivery thread notes it
    state.name, state.color = "bob", "red"
    chat.presence.resume(again, "token of bob", "ops", 0)
    assert again.room is not None
    assert again.room.name == "ops"


def test_number_of_rooms_is_limited() -> None:
    """The lobby counts; open rooms can be joined, and a new one made when one closes."""
    chat = Chat("bob", "alice", "carl", limits=Limits(max_rooms=2))
    chat.membership.join_room(chat.members["bob"], "ops")
    with pytest.raises(ProtocolError, match=r"too-many.*2 rooms"):
        chat.membership.join_room(chat.members["alice"], "zoo")
    chat.membership.join_room(chat.members["carl"], "ops")
    chat.membership.leave(chat.members["carl"], "exit")
    chat.membership.join_room(chat.members["bob"], LOBBY)
    chat.membership.join_room(chat.members["alice"], "zoo")


def test_rooms_of_a_member_are_limited() -> None:
    """Those that are still open count, for that member alone."""
    chat = Chat("bob", "alice", "carl", limits=Limits(max_rooms_per_member=2))
    bob = chat.members["bob"]
    for name, guest in (("ant", "alice"), ("bee", "carl")):
        chat.membership.join_room(bob, name)
        chat.membership.join_room(chat.members[guest], name)
    with pytest.raises(ProtocolError, match=r"too-many.*2 rooms that you made"):
        chat.membership.join_room(bob, "cow")
    chat.membership.join_room(chat.members["alice"], "dog")
    chat.membership.join_room(bob, "cow")


def test_join_of_the_current_room() -> None:
    """It is refused, and nothing is shown."""
    chat = Chat("bob")
    with pytest.raises(ProtocolError, match="not-allowed"):
        chat.membership.join_room(chat.members["bob"], "LOBBY")
    assert chat.queue.entries == []


def test_list_rooms() -> None:
    """The lobby comes first, and closed rooms are missing."""
    chat = Chat("bob", "alice", "carl")
    chat.membership.join_room(chat.members["bob"], "zoo")
    chat.membership.join_room(chat.members["alice"], "ant")
    chat.membership.join_room(chat.members["carl"], "gone")
    chat.membership.leave(chat.members["carl"], "exit")
    assert list(chat.membership.list_rooms()) == [
        RoomRow("lobby", 0, "-"),
        RoomRow("ant", 1, "-"),
        RoomRow("zoo", 1, "-"),
    ]


def test_rows_are_made_as_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """They show what is then; rooms that closed and members that left meanwhile are missing."""
    monkeypatch.setattr(membership, "LISTED_ROWS", 1)
    chat = Chat("alice", "bob", "carl")
    chat.membership.join_room(chat.members["bob"], "ant")
    rooms, members = chat.membership.list_rooms(), chat.membership.list_members(LOBBY)
    assert next(rooms) == RoomRow(LOBBY, 2, "-")
    assert next(members) == MemberRow("alice", "red", LOBBY, 9)
    chat.membership.leave(chat.members["bob"], "exit")
    chat.membership.leave(chat.members["carl"], "exit")
    assert (list(rooms), list(members)) == ([], [])


def test_members_of_a_room_that_closes_meanwhile() -> None:
    """The rows end."""
    chat = Chat("bob")
    chat.membership.join_room(chat.members["bob"], "ant")
    members = chat.membership.list_members("ant")
    chat.membership.leave(chat.members["bob"], "exit")
    assert list(members) == []


def test_list_members_with_idle_seconds() -> None:
    """IDLE counts whole seconds since the last activity."""
    chat = Chat("bob")
    chat.members["bob"].last_active = 5.0
    assert list(chat.membership.list_members("LOBBY")) == [MemberRow("bob", "red", LOBBY, 4)]


def test_list_members_of_an_unknown_room() -> None:
    """The error names /list."""
    with pytest.raises(ProtocolError, match="/list"):
        Chat("bob").membership.list_members("ops")


def test_large_room_shows_no_presence() -> None:
    """With more than PRESENCE_MEMBERS, joins and leaves are not shown."""
    chat = Chat(*(f"p{number}" for number in range(PRESENCE_MEMBERS)))
    late = chat.sign_in("late")
    assert chat.queue.shown() == []
    chat.membership.leave(late, "exit")
    assert len(chat.queue.shown()) == 1


def test_closed_directory_refuses_joins_and_shows_no_leaves() -> None:
    """Ten thousand members need not see each other leave."""
    chat = Chat("bob", "alice")
    chat.presence.stop()
    with pytest.raises(ProtocolError, match="server-stopping"):
        chat.membership.join_room(chat.members["bob"], "ops")
    chat.membership.leave(chat.members["bob"], "exit")
    assert chat.queue.shown() == []


def test_counts_after_many_threads_moved_members() -> None:
    """Counts and tables agree after concurrent moves and renames."""
    chat = Chat(*(f"p{number}" for number in range(8)))

    def move_around(name: str, member: Member) -> None:
        for step in range(200):
            chat.membership.rename(member, f"{name}-{step % 3}", "teal")
            with_room = (LOBBY, "ant", "bee")[step % 3]
            if member.room is None or member.room.name != with_room:
                chat.membership.join_room(member, with_room)
        chat.membership.leave(member, "exit")

    threads = [threading.Thread(target=move_around, args=item) for item in chat.members.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert chat.membership.count() == Counts(0, 1)
