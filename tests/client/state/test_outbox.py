"""The lines that were typed and are not known to be carried out: none lost, none twice, each in its room."""

import itertools
from collections import deque

import pytest
from hypothesis import given, strategies as st

from hubbub.client.state.outbox import DELAY_SECONDS, FullError, Outbox
from hubbub.protocol import LOBBY, Color, Command, History, Join, Leave, List, Me, Msg, Name, Ping, Post, Say, Who
from testing.clock import FakeClock

OPS = "ops"


def in_lobby(*commands: Command) -> Outbox:
    """Return an outbox in the lobby, to which `commands` were added."""
    outbox = Outbox()
    outbox.renumber()
    outbox.enter(LOBBY)
    for command in commands:
        outbox.add(command)
    return outbox


def typed(outbox: Outbox) -> list[str]:
    """Return the lines that are not done."""
    return [line for line, _ in outbox.unsent_lines()]


def come_back(outbox: Outbox, accepted: int, room: str = LOBBY) -> list[Command]:
    """Lose the connection and resume; return what goes out then."""
    outbox.lose_connection()
    outbox.resume(accepted)
    outbox.enter(room)
    return outbox.pop_ready()


# -------------------------------------------------------------------------------------------------------------- posts


def test_posts_are_numbered_from_1() -> None:
    """They hold what would have been typed: text, an action, and text that starts with a slash."""
    outbox = in_lobby(Say("one"), Me("waves"), Say("/x"))
    assert outbox.pop_ready() == [Post(1, "one"), Post(2, "/me waves"), Post(3, "//x")]
    assert outbox.pop_ready() == []


def test_acknowledgement_is_cumulative() -> None:
    """It completes all posts up to its number, and no other."""
    outbox = in_lobby(Say("one"), Say("two"), Say("three"))
    outbox.pop_ready()
    outbox.acknowledge(2)
    assert typed(outbox) == ["three"]
    assert len(outbox) == 1


def test_acknowledgement_of_an_unsent_post_does_nothing() -> None:
    """Whatever the number is."""
    outbox = Outbox()
    outbox.add(Say("one"))
    outbox.acknowledge(5)
    assert typed(outbox) == ["one"]


def test_refused_post_is_returned_and_its_number_used_up() -> None:
    """The next one has the next number."""
    outbox = in_lobby(Say("bad"), Say("good"))
    outbox.pop_ready()
    assert outbox.refuse(1) == "bad"
    assert outbox.refuse(1) == ""
    outbox.add(Say("next"))
    assert outbox.pop_ready() == [Post(3, "next")]


def test_sent_lines_are_unconfirmed_until_they_are_acknowledged() -> None:
    """Also after a loss, and commands as well."""
    outbox = in_lobby(Say("one"), Say("two"), Join(OPS), Say("three"))
    assert outbox.unconfirmed_lines() == []
    outbox.pop_ready()
    outbox.acknowledge(1)
    assert outbox.unconfirmed_lines() == ["two", "/join ops"]
    outbox.lose_connection()
    assert outbox.unconfirmed_lines() == ["two", "/join ops"]
    assert typed(outbox) == ["two", "/join ops", "three"]


def test_nothing_is_sent_before_a_room_is_entered() -> None:
    """Neither at the start nor after a loss."""
    outbox = in_lobby(Say("one"))
    outbox.lose_connection()
    outbox.resume(0)
    assert outbox.pop_ready() == []


def test_posts_that_are_not_stored_are_sent_again_with_their_numbers() -> None:
    """Before what was typed meanwhile; those that are stored are not."""
    outbox = in_lobby(Say("one"), Say("two"), Say("three"))
    outbox.pop_ready()
    outbox.acknowledge(1)
    outbox.lose_connection()
    outbox.add(Say("four"))
    assert come_back(outbox, 2) == [Post(3, "three"), Post(4, "four")]


def test_new_session_numbers_from_1() -> None:
    """A server that lost the session stored none of its posts."""
    outbox = in_lobby(Say("one"), Say("two"))
    outbox.pop_ready()
    outbox.acknowledge(1)
    outbox.lose_connection()
    outbox.renumber()
    outbox.enter(LOBBY)
    assert outbox.pop_ready() == [Post(1, "two")]


def test_two_losses_in_a_row_are_like_one() -> None:
    """An attempt to reconnect may fail."""
    outbox = in_lobby(Say("one"))
    outbox.pop_ready()
    outbox.lose_connection()
    assert come_back(outbox, 0) == [Post(1, "one")]


@pytest.mark.parametrize(("lines", "size"), [(2, 1_000), (1_000, 6)])
def test_full_outbox_accepts_no_more(lines: int, size: int) -> None:
    """Lines and bytes are limited; there is space again after an acknowledgement."""
    outbox = Outbox(lines, size)
    outbox.enter(LOBBY)
    outbox.add(Say("one"))
    assert not outbox.is_full
    outbox.add(Say("two"))
    assert outbox.is_full
    with pytest.raises(FullError):
        outbox.add(Say("three"))
    outbox.pop_ready()
    outbox.acknowledge(1)
    outbox.add(Say("three"))


@pytest.mark.parametrize(("lines", "size"), [(2, 1_000), (1_000, 6)])
def test_paste_is_accepted_as_a_whole_or_not_at_all(lines: int, size: int) -> None:
    """Half of it in the room would be worse than none."""
    outbox = Outbox(lines, size)
    with pytest.raises(FullError):
        outbox.add(Say("one"), Say("two"), Say("three"))
    assert outbox.is_empty
    outbox.add(Say("one"), Say("two"))
    assert typed(outbox) == ["one", "two"]


def test_delay_is_that_of_the_last_or_the_next_answer() -> None:
    """A slow server shows at once, and no longer when it is fast again."""
    clock = FakeClock()
    outbox = Outbox(clock=clock)
    outbox.enter(LOBBY)
    outbox.add(Say("one"), Say("two"))
    outbox.pop_ready()
    assert outbox.delay == 0
    clock.now = 2.0
    assert outbox.delay == 2.0
    outbox.acknowledge(2)
    clock.now = 2.0 + DELAY_SECONDS - 1
    assert outbox.delay == 2.0
    clock.now += 1
    assert outbox.delay == 0
    outbox.add(Who())
    outbox.pop_ready()
    outbox.complete("1")
    assert outbox.delay == 0
    outbox.lose_connection()
    assert outbox.delay == 0


def test_query_is_no_line_of_the_user() -> None:
    """It waits its turn, is not counted as unsent, and is not sent again after a loss."""
    outbox = in_lobby(Say("one"))
    outbox.add_query(Who())
    assert outbox.pop_ready() == [Post(1, "one"), Who(), Ping("1")]
    assert (outbox.current_query, outbox.current_command) == (Who(), None)
    assert typed(outbox) == ["one"]
    outbox.add_query(List())
    outbox.acknowledge(1)
    assert outbox.lose_connection() == ""
    assert come_back(outbox, 1) == []
    assert outbox.is_empty


# ----------------------------------------------------------------------------------------------------------- commands


def test_command_is_sent_alone() -> None:
    """The ping after it shows when it is carried out; then the next lines follow."""
    outbox = in_lobby(Say("one"), Who(), Say("two"))
    assert outbox.pop_ready() == [Post(1, "one"), Who(), Ping("1")]
    assert outbox.current_command == Who()
    assert outbox.complete("0") == []
    assert outbox.pop_ready() == []
    assert outbox.complete("1") == []
    assert outbox.pop_ready() == [Post(2, "two")]


def test_line_is_sent_to_the_room_in_which_it_was_typed() -> None:
    """After a /join to the new room, before it to the old one."""
    outbox = in_lobby(Join(OPS), Say("in ops"))
    assert outbox.room == OPS
    assert outbox.pop_ready() == [Join(OPS), Ping("1")]
    outbox.enter("Ops")
    outbox.complete("1")
    assert outbox.pop_ready() == [Post(1, "in ops")]
    assert outbox.room == "Ops"


def test_lines_for_a_room_that_cannot_be_entered_are_given_up() -> None:
    """What is typed later is for the room in which we are."""
    outbox = in_lobby(Join(OPS), Say("secret"), Say("secret too"), Leave(), Say("hello"))
    outbox.pop_ready()
    assert outbox.complete("1") == ["secret", "secret too"]
    assert outbox.pop_ready() == [Leave(), Ping("2")]
    assert outbox.complete("2") == []
    assert outbox.pop_ready() == [Post(1, "hello")]
    assert outbox.room == LOBBY


def test_unsent_line_is_sent_to_its_room_after_a_loss() -> None:
    """With a /join there and back."""
    outbox = in_lobby(Say("in the lobby"), Join(OPS))
    outbox.pop_ready()
    outbox.enter(OPS)
    outbox.complete("1")
    assert come_back(outbox, 0, OPS) == [Join(LOBBY), Ping("2")]
    outbox.enter(LOBBY)
    assert outbox.complete("2") == []
    assert outbox.pop_ready() == [Post(1, "in the lobby"), Join(OPS), Ping("3")]
    outbox.enter(OPS)
    outbox.complete("3")
    assert outbox.pop_ready() == []
    assert outbox.room == OPS


def test_join_whose_answer_was_lost_is_not_sent_twice() -> None:
    """The server has us there already."""
    outbox = in_lobby(Join(OPS), Say("in ops"))
    outbox.pop_ready()
    assert come_back(outbox, 0, OPS) == [Post(1, "in ops")]
    assert outbox.room == OPS


def test_repeatable_command_is_sent_again() -> None:
    """Twice, it does no harm."""
    for command in (Join(OPS), Leave(), Name("eve"), Color("red")):
        outbox = in_lobby(command)
        outbox.pop_ready()
        assert come_back(outbox, 0, "elsewhere")[0] in {command, Join(LOBBY)}
        assert typed(outbox) != []


def test_private_message_whose_answer_was_lost_is_given_up() -> None:
    """It must not arrive twice; the user is told."""
    for command in (Msg("bob", "psst"), Who(), History()):
        outbox = in_lobby(command)
        outbox.pop_ready()
        assert outbox.lose_connection() == command.encode().decode().strip()
        assert outbox.lose_connection() == ""
        assert outbox.is_empty


def test_new_session_returns_to_the_room() -> None:
    """Without a line being typed."""
    outbox = in_lobby(Join(OPS))
    outbox.pop_ready()
    outbox.enter(OPS)
    outbox.complete("1")
    outbox.lose_connection()
    outbox.renumber()
    outbox.enter(LOBBY)
    assert outbox.next_room == OPS
    assert outbox.pop_ready() == [Join(OPS), Ping("2")]
    assert outbox.complete("2") == []
    assert outbox.room == LOBBY


def test_refused_move_after_a_loss_returns_to_the_room_before() -> None:
    """Not to the room in which the new session began."""
    outbox = in_lobby(Join(OPS))
    outbox.pop_ready()
    outbox.enter(OPS)
    outbox.complete("1")
    outbox.lose_connection()
    outbox.add(Join("locked"))
    outbox.renumber()
    outbox.enter(LOBBY)
    assert outbox.pop_ready() == [Join("locked"), Ping("2")]
    outbox.complete("2")
    assert outbox.pop_ready() == [Join(OPS), Ping("3")]
    assert outbox.room == OPS


def test_server_may_move_us() -> None:
    """Then that room is the user's."""
    outbox = in_lobby()
    outbox.enter(OPS)
    assert outbox.pop_ready() == []
    assert outbox.room == OPS


def test_end_comes_after_everything_else() -> None:
    """Again after a loss; it is no line of the user."""
    outbox = in_lobby(Say("one"))
    outbox.add_end()
    assert outbox.pop_ready() == [Post(1, "one"), Ping("1")]
    assert come_back(outbox, 1) == [Ping("2")]
    assert len(outbox) == 0
    assert not outbox.is_empty
    outbox.complete("2")
    assert outbox.is_empty


# -------------------------------------------------------------------------------------------------------- all together


class WireClient:
    """An outbox, a simple server, and what is on its way between them. The room `locked` cannot be entered."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.commands: deque[Command] = deque()
        self.events: deque[tuple[str, str | int]] = deque()
        self.room = LOBBY
        self.accepted = self.acked = 0
        self.said: list[tuple[str, str]] = []
        self.expected: list[tuple[str, str]] = []
        self.given_up: list[str] = []
        self.outbox.enter(LOBBY)

    def type(self, command: Command) -> None:
        if isinstance(command, Say):
            self.expected.append((self.outbox.room, command.text))
        self.outbox.add(command)
        self.commands += self.outbox.pop_ready()

    def serve(self) -> None:
        match self.commands.popleft() if self.commands else None:
            case Post(number, line):
                if number > self.accepted:
                    self.accepted = number
                    self.said.append((self.room, line))
                self.events.append(("ack", self.accepted))
            case Join(room) if room != "locked":
                self.enter(room)
            case Leave():
                self.enter(LOBBY)
            case Ping(token):
                self.events.append(("pong", token))

    def enter(self, room: str) -> None:
        if room != self.room:
            self.room = room
            self.events.append(("entered", room))

    def listen(self) -> None:
        match self.events.popleft() if self.events else None:
            case ("ack", int(number)):
                self.outbox.acknowledge(number)
                self.acked = len(self.said) - self.accepted + number
            case ("entered", str(room)):
                self.outbox.enter(room)
            case ("pong", str(token)):
                self.given_up += self.outbox.complete(token)
        self.commands += self.outbox.pop_ready()

    def cut(self, *, forget: bool) -> None:
        """Lose what is on its way; a server that forgets us has lost what was not acknowledged, too."""
        self.commands.clear()
        self.events.clear()
        self.outbox.lose_connection()
        if forget:
            del self.said[self.acked :]
            self.accepted, self.room = 0, LOBBY
            self.outbox.renumber()
        else:
            self.outbox.resume(self.accepted)
            self.acked = len(self.said)
        self.outbox.enter(self.room)
        self.commands += self.outbox.pop_ready()


STEPS = st.sampled_from(["say", "say", "join ops", "join dev", "join locked", "leave"] + ["serve", "listen"] * 4)


@given(st.lists(STEPS | st.sampled_from(["cut", "forget"]), max_size=80))
def test_every_line_is_posted_once_in_its_room(steps: list[str]) -> None:
    """Wherever the connection is lost, in the order in which they were typed."""
    wire = WireClient()
    texts = (f"text {number}" for number in itertools.count())
    for step in steps:
        match step.split():
            case ["say"]:
                wire.type(Say(next(texts)))
            case ["join", room]:
                wire.type(Join(room))
            case ["leave"]:
                wire.type(Leave())
            case ["serve"]:
                wire.serve()
            case ["listen"]:
                wire.listen()
            case [cut]:
                wire.cut(forget=cut == "forget")
    while wire.commands or wire.events:
        wire.serve()
        wire.listen()
    assert wire.outbox.is_empty
    assert wire.said == [(room, text) for room, text in wire.expected if room != "locked"]
    assert wire.given_up == [text for room, text in wire.expected if room == "locked"]
    assert wire.outbox.room == wire.room


def test_locked_room_is_entered_again_with_its_key() -> None:
    """What waits for it is sent there, though the server moved us to the lobby; no line shows the key."""
    outbox = Outbox()
    outbox.enter("lobby")
    outbox.add(Join("Ops", "secret key"))
    assert [line for line, _ in outbox.unsent_lines()] == ["/join Ops"]
    assert outbox.pop_ready() == [Join("Ops", "secret key"), Ping("1")]
    outbox.enter("ops")
    outbox.complete("1")
    outbox.add(Say("hi"))
    outbox.lose_connection()
    outbox.renumber()
    outbox.enter("lobby")
    assert outbox.pop_ready() == [Join("ops", "secret key"), Ping("2")]
    outbox.enter("ops")
    outbox.complete("2")
    assert outbox.pop_ready() == [Post(1, "hi")]


def test_wrong_room_key_is_not_stored() -> None:
    """Only a key that opened a room opens it again."""
    outbox = Outbox()
    outbox.enter("lobby")
    outbox.add(Join("ops", "wrong"))
    outbox.pop_ready()
    outbox.complete("1")
    assert outbox._rooms._keys == {}
