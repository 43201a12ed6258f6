"""A real server against a model of rooms: whatever a few clients do, each receives exactly what the model says."""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hubbub.protocol import (
    HISTORY_LINES,
    LOBBY,
    Acted,
    Bye,
    End,
    Entered,
    Error,
    Event,
    Joined,
    Left,
    MemberRow,
    Renamed,
    RoomRow,
    Said,
    Say,
    Welcome,
    clean,
    default_color,
    fold_name,
    parse_event,
)
from testing.server import FAST_LIMITS, serving
from testing.wire_client import WireClient

EXAMPLES = 20
STEPS = 40  # of each example, at most
CLIENTS = 4
# Confusable names have the same value.
NAMES = {"alice": "alice", "ALICE": "alice", "аlice": "alice", "bob": "bob", "b0b": "bob", "Зоя": "Зоя"}
ROOMS = {LOBBY: LOBBY, "ops": "ops", "орs": "ops", "lоbby": LOBBY, "zoo": "zoo"}
HOSTILE = ["/exit", "/say lobby 1 1 bob red hi", "\x1b[2J", "\r/bye", "\u2028/bye x", "\x85", "\u202e", " ", "x" * 500]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20)
hostile = st.lists(st.sampled_from(HOSTILE) | texts, max_size=4).map("".join)


@dataclass(eq=False)
class Account:
    """A member, connected or absent."""

    name: str
    color: str
    room: str
    token: str


@dataclass(eq=False)
class Client:
    """A connection, its member, and the events that it is to receive."""

    wire: WireClient
    person: Account | None = None
    seq: int = 0  # of the last line that it has of its room
    expected: list[Event] = field(default_factory=list)


def timeless(event: Event) -> Event:
    """Return an event without its times, which the model cannot know."""
    if isinstance(event, MemberRow):
        return replace(event, idle=0)
    return replace(event, time=0) if isinstance(event, Said | Acted | Joined | Left | Renamed) else event


def has_clients(machine: "Rooms") -> bool:
    """Return whether there is a client to do something."""
    return bool(machine.clients)


class Rooms(RuleBasedStateMachine):
    """The model: who is in which room, and the lines of each."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.server = self.stack.enter_context(serving(limits=replace(FAST_LIMITS, grace_seconds=60)))
        self.clients: list[Client] = []
        self.absent: list[tuple[Account, int]] = []  # and the last SEQ that each has
        self.lines: dict[str, list[Event]] = {}
        self.raw: dict[tuple[str, int], str] = {}  # the line of each room and SEQ, as the first client received it

    def teardown(self) -> None:
        for client in self.clients:
            client.wire.socket.close()
        self.stack.close()

    # -------------------------------------------------------------------------------------------- parts of the model

    def accounts(self) -> list[Account]:
        return [person for person, _ in self.absent] + [client.person for client in self.clients if client.person]

    def members(self, room: str) -> list[Account]:
        return sorted((person for person in self.accounts() if person.room == room), key=lambda p: fold_name(p.name))

    def last(self, room: str) -> int:
        return len(self.lines.get(room, []))

    def show(self, room: str, event: Event, but: Client | None = None) -> None:
        for client in self.clients:
            if client.person and client.person.room == room and client is not but:
                client.expected.append(event)

    def is_taken(self, name: str, by: Account | None) -> bool:
        return any(NAMES[person.name] == NAMES[name] for person in self.accounts() if person is not by)

    def entered(self, client: Client, person: Account, after: int) -> None:
        last = self.last(person.room)
        client.seq = last
        client.expected.append(Entered(person.room, last, len(self.members(person.room)), "-"))
        client.expected += self.lines.get(person.room, [])[after:]

    def pick(self, number: int) -> Client:
        return self.clients[number % len(self.clients)]

    def named(self, number: int) -> tuple[Client, Account] | None:
        """Return a client that has a name; one that has none gets an error."""
        named = [client for client in self.clients if client.person]
        client = named[number % len(named)] if named and number else self.pick(number)
        if client.person is None:
            client.wire.send("hello?")
            client.expected.append(Error("name-needed", ""))
            return None
        return client, client.person

    # ---------------------------------------------------------------------------------------------------- commands

    @initialize()
    def begin(self) -> None:
        """Start with three clients, one of them without a name."""
        for name in ("alice", "bob", ""):
            self.connect()
            if name:
                self.name(-1, name, "red")

    @precondition(lambda self: len(self.clients) + len(self.absent) < CLIENTS)
    @rule()
    def connect(self) -> None:
        wire = WireClient(self.server.address)
        assert wire.read_line() == "/hello 1 -"
        self.clients.append(Client(wire))

    @precondition(has_clients)
    @rule(number=st.integers(0, 9), name=st.sampled_from(list(NAMES)), color=st.sampled_from(["", "red", "teal"]))
    def name(self, number: int, name: str, color: str) -> None:
        client = self.pick(number)
        client.wire.send(f"/name {name} {color}")
        person = client.person
        if self.is_taken(name, person):
            client.expected.append(Error("name-taken", ""))
        elif person is None:
            self.sign_in(client, name, color or default_color(name))
        else:
            old, person.name, person.color = (person.name, person.color), name, color or person.color
            if old != (person.name, person.color):
                self.show(person.room, Renamed(person.room, 0, old[0], person.color, person.name))

    def sign_in(self, client: Client, name: str, color: str) -> None:
        welcome = parse_event(client.wire.read_line())
        assert isinstance(welcome, Welcome)
        assert (welcome.name, welcome.color, welcome.accepted) == (name, color, 0)
        self.show(LOBBY, Joined(LOBBY, 0, name, color))
        client.person = Account(name, color, LOBBY, welcome.token)
        self.entered(client, client.person, max(0, self.last(LOBBY) - HISTORY_LINES))

    @precondition(has_clients)
    @rule(number=st.integers(0, 9), room=st.sampled_from([*ROOMS, "/leave"]))
    def join(self, number: int, room: str) -> None:
        if (found := self.named(number)) is None:
            return
        client, person = found
        client.wire.send("/leave" if room == "/leave" else f"/join {room}")
        room = LOBBY if room == "/leave" else room
        there = {LOBBY, *(person.room for person in self.accounts())}
        if room == person.room:
            client.expected.append(Error("not-allowed", ""))
        elif room not in there and ROOMS[room] in {ROOMS[other] for other in there}:
            client.expected.append(Error("room-invalid", ""))
        else:
            self.show(person.room, Left(person.room, 0, person.name, person.color, "leave"), but=client)
            self.show(room, Joined(room, 0, person.name, person.color))
            person.room = room
            self.entered(client, person, max(0, self.last(room) - HISTORY_LINES))

    @precondition(has_clients)
    @rule(number=st.integers(0, 9), text=hostile, kind=st.sampled_from([Said, Acted]))
    def say(self, number: int, text: str, kind: type[Said | Acted]) -> None:
        found = self.named(number)
        if found is None or not (text := clean(text)):
            return
        client, person = found
        client.wire.send_bytes(Say(text).encode() if kind is Said else f"/me {text}\n".encode())
        line = kind(person.room, self.last(person.room) + 1, 0, person.name, person.color, text)
        self.lines.setdefault(person.room, []).append(line)
        self.show(person.room, line)

    @precondition(has_clients)
    @rule(number=st.integers(0, 9), room=st.sampled_from(list(ROOMS)))
    def who(self, number: int, room: str) -> None:
        if (found := self.named(number)) is None:
            return
        client, _ = found
        client.wire.send(f"/who {room}")
        members = self.members(room)
        if not members and room != LOBBY:
            client.expected.append(Error("room-invalid", ""))
        else:
            client.expected += [MemberRow(person.name, person.color, room, 0) for person in members] + [End("who")]

    @precondition(has_clients)
    @rule(number=st.integers(0, 9))
    def list_rooms(self, number: int) -> None:
        if (found := self.named(number)) is None:
            return
        client, _ = found
        client.wire.send("/list")
        rooms = [LOBBY, *sorted({person.room for person in self.accounts()} - {LOBBY})]
        client.expected += [RoomRow(room, len(self.members(room)), "-") for room in rooms] + [End("list")]

    # --------------------------------------------------------------------------------------- leaving and resuming

    @precondition(has_clients)
    @rule(number=st.integers(0, 9))
    def leave_for_good(self, number: int) -> None:
        client = self.pick(number)
        client.wire.send("/exit")
        assert parse_event(client.wire.read_to_end()[-1]) == Bye("see you")
        self.forget(client)
        if person := client.person:
            self.show(person.room, Left(person.room, 0, person.name, person.color, "exit"))

    @precondition(has_clients)
    @rule(number=st.integers(0, 9))
    def lose_the_connection(self, number: int) -> None:
        client = self.pick(number)
        self.forget(client)
        if client.person:
            self.absent.append((client.person, client.seq))

    def forget(self, client: Client) -> None:
        client.wire.socket.close()
        self.clients.remove(client)

    @precondition(lambda self: self.absent)
    @rule()
    def resume(self) -> None:
        person, seq = self.absent.pop(0)
        wire = WireClient(self.server.address)
        wire.send(f"/resume {person.token} {person.room} {seq}")
        assert wire.read_line() == "/hello 1 -"
        client = Client(wire, person, expected=[Welcome(person.name, person.color, person.token, 0)])
        self.clients.append(client)
        self.entered(client, person, seq)

    # ------------------------------------------------------------------------------------------------------- the check

    @invariant()
    def each_client_received_what_the_model_says(self) -> None:
        # After the first answer to a client all commands are carried out; after the second, their events are there.
        first = [client.wire.sync() for client in self.clients]
        for client, lines in zip(self.clients, first, strict=True):
            seen = [self.check_bytes(line) for line in [*lines, *client.wire.sync()]]
            assert seen == client.expected
            client.expected = []
            if client.person:
                client.seq = self.last(client.person.room)

    def check_bytes(self, line: str) -> Event:
        """Return the event of a line, which has the same bytes for all clients; an error without its text."""
        event = parse_event(line)
        if isinstance(event, Said | Acted):
            assert self.raw.setdefault((event.room, event.seq), line) == line
        return replace(event, text="") if isinstance(event, Error) else timeless(event)


TestRooms = Rooms.TestCase
TestRooms.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
)
