"""The past of a room, asked for page by page: exactly what is wanted, in order, whatever the server keeps or says."""

from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from hubbub.client.state.backlog import PATIENCE, Backlog, Since, parse_since
from hubbub.protocol import HISTORY_LINES_MAX, Acted, End, Entered, Event, Gap, History, Said

NOW = 1_000_000.0  # seconds since 1970, when the history is asked for
STEP = 1_000  # milliseconds from one line to the next
SEARCH_QUESTIONS = 51  # at most, for one among all the lines that a number of 15 digits can count, after the first


class Room:
    """A server with one room: what it sends stands on the wire until the client receives it."""

    def __init__(self, count: int = 0, *, stored: int = 0, now: float = NOW) -> None:
        """Start with `count` lines, the last one just now, of which the last `stored` are stored; 0 is all."""
        self.end = count
        self.first = count - stored + 1 if stored else 1
        self.now = int(now * 1000)
        self.wire: deque[Event] = deque()
        self._answer: deque[Event] = deque()  # what of it is not on the wire yet

    def line(self, seq: int) -> Said:
        """Return a line; the last one is said now, and each before it a step earlier."""
        return Said("ops", seq, self.now - STEP * (self.end - seq), "bob", "red", f"line {seq}")

    def enter(self, followed_by: int = 0) -> Entered:
        """Send the heading, and the last lines of the past behind it."""
        entered = Entered("ops", self.end, 2, "-")
        self.wire.append(entered)
        self.wire.extend(self._stored(self.end - followed_by, self.end))
        return entered

    def say(self) -> None:
        """Say a line, a step after the last."""
        self.end += 1
        self.now += STEP
        self.wire.append(self.line(self.end))

    def purge(self, count: int) -> None:
        """Keep the oldest lines no longer."""
        self.first = min(self.first + count, self.end + 1)

    def ask(self, request: History) -> None:
        """Answer as the protocol says; `send` puts it on the wire."""
        assert 1 <= request.count <= HISTORY_LINES_MAX
        upto = min(request.before - 1, self.end)
        self._answer.extend(self._stored(upto - request.count, upto))
        self._answer.append(End("history"))

    def send(self, count: int) -> None:
        """Put more of the answer on the wire; lines that are said meanwhile come in between."""
        for _ in range(min(count, len(self._answer))):
            self.wire.append(self._answer.popleft())

    def cut(self) -> None:
        """Lose the connection, and what is on its way."""
        self.wire.clear()
        self._answer.clear()

    def _stored(self, after: int, upto: int) -> Iterator[Said]:
        return (self.line(seq) for seq in range(max(after + 1, self.first), upto + 1))


class Reader:
    """A client with a backlog: it receives what is on the wire, and asks when it should."""

    def __init__(self, room: Room, since: Since) -> None:
        self.room = room
        self.backlog = Backlog(since, lambda: NOW)
        self.shown: list[Event] = []
        self.requests: list[History] = []

    def step(self) -> None:
        """Receive one event."""
        event = self.room.wire.popleft()
        if isinstance(event, Entered):
            self.backlog.begin(event)
        elif isinstance(event, End):
            self.shown += self.backlog.complete_page()
        elif isinstance(event, Said | Acted | Gap):
            self.shown += self.backlog.receive(event)
        self.ask()

    def ask(self) -> None:
        request = self.backlog.next_command()
        if request is not None:
            self.requests.append(request)
            self.room.ask(request)

    def do(self, step_name: str, many: int, followed_by: int) -> None:
        """Carry out one step."""
        if step_name == "say":
            self.room.say()
        elif step_name == "purge":
            self.room.purge(many // 3)
        elif step_name == "send":
            self.room.send(many)
        elif step_name == "receive":
            for _ in range(min(many, len(self.room.wire))):
                self.step()
        elif not self.backlog.is_done:  # after it, others know what was shown
            self.room.cut()
            self.backlog.lose_connection()
            self.room.enter(followed_by)

    def finish(self) -> None:
        """Receive and ask until there is nothing more."""
        self.room.send(HISTORY_LINES_MAX + 1)
        while self.room.wire:
            self.step()
            self.room.send(HISTORY_LINES_MAX + 1)
        assert self.backlog.is_done

    @property
    def numbers(self) -> list[int]:
        """The numbers of the lines shown."""
        return [event.seq for event in self.shown if isinstance(event, Said)]

    @property
    def gaps(self) -> list[Gap]:
        """The holes shown."""
        return [event for event in self.shown if isinstance(event, Gap)]


def replayed(room: Room, since: Since, followed_by: int = 50) -> Reader:
    """Come into the room, and read all that is wanted."""
    reader = Reader(room, since)
    room.enter(followed_by)
    reader.finish()
    return reader


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("0", Since(seq=0)),
        ("1200", Since(seq=1_200)),
        ("90s", Since(seconds=90)),
        ("30m", Since(seconds=1_800)),
        ("2h", Since(seconds=7_200)),
        ("7d", Since(seconds=604_800)),
        ("0s", Since(seconds=0)),
    ],
)
def test_since_is_parsed(text: str, since: Since) -> None:
    """The number of a line, or a time in seconds, minutes, hours or days."""
    assert parse_since(text) == since


@pytest.mark.parametrize("text", ["", "h", "-1", "2 h", "1.5h", "2w", "2hh", "٣", "²", "9" * 16, "yesterday"])
def test_bad_since_is_refused(text: str) -> None:
    """The error says what is allowed."""
    with pytest.raises(ValueError, match="neither a line number nor a time like 90s, 30m, 2h or 7d"):
        parse_since(text)


@pytest.mark.parametrize("seq", [0, 1, 499, 1_000, 2_449, 2_450, 2_499, 2_500])
@pytest.mark.parametrize("followed_by", [0, 50])
def test_lines_after_a_line(seq: int, followed_by: int) -> None:
    """Each of them, once and in order, whether or not live lines come between."""
    reader = replayed(Room(2_500), Since(seq=seq), followed_by)
    assert reader.numbers == list(range(seq + 1, 2_501))
    assert reader.gaps == []


@pytest.mark.parametrize(("seconds", "first"), [(0, 2_500), (1, 2_499), (1_600, 900), (2_499, 1), (10**20, 1)])
def test_lines_of_a_time(seconds: int, first: int) -> None:
    """All since then, and nothing before."""
    reader = replayed(Room(2_500), Since(seconds=seconds))
    assert reader.numbers == list(range(first, 2_501))
    assert reader.gaps == []


def test_no_line_in_that_time() -> None:
    """Only live lines are shown."""
    room = Room(2_500, now=NOW - 100)
    reader = replayed(room, Since(seconds=60))
    assert reader.shown == []
    room.say()
    reader.step()
    assert reader.numbers == [2_501]


def test_empty_room() -> None:
    """Its first line is shown."""
    room = Room()
    reader = replayed(room, Since(seconds=60))
    room.say()
    reader.step()
    assert reader.numbers == [1]


def test_no_page_is_larger_than_the_server_allows() -> None:
    """Nor does one ask for a line that was received."""
    reader = replayed(Room(2_500), Since(seq=100), followed_by=0)
    assert reader.requests == [History(1_000, 1_101), History(1_000, 2_101), History(400, 2_501)]


def test_lines_that_are_no_longer_stored() -> None:
    """They show as one gap, found without asking for each page."""
    reader = replayed(Room(1_000_000, stored=1_500), Since(seq=7))
    assert reader.gaps == [Gap("ops", 8, 998_500)]
    assert reader.shown[0] == reader.gaps[0]
    assert reader.numbers == list(range(998_501, 1_000_001))
    assert len(reader.requests) < 30


def test_page_that_is_stored_in_part() -> None:
    """The rest of it is shown after the gap."""
    reader = replayed(Room(500, stored=300), Since(seq=7))
    assert reader.gaps == [Gap("ops", 8, 200)]
    assert reader.numbers == list(range(201, 501))


def test_no_line_is_stored() -> None:
    """A gap stands for all of the history."""
    room = Room(5_000)
    room.purge(5_000)
    reader = replayed(room, Since(seq=7))
    assert reader.shown == [Gap("ops", 8, 5_000)]


def test_time_before_the_first_stored_line() -> None:
    """No gap is shown, because there may have been no lines."""
    reader = replayed(Room(5_000, stored=10), Since(seconds=4_000))
    assert reader.numbers == list(range(4_991, 5_001))
    assert reader.gaps == []


def test_clock_that_went_back() -> None:
    """From the first line of the time on, everything is shown."""
    backlog = Backlog(Since(seconds=10), lambda: NOW)
    backlog.begin(Entered("ops", 2, 1, "-"))
    lines = [Said("ops", seq, time, "bob", "red", "") for seq, time in ((1, int(NOW * 1000)), (2, 5))]
    shown: list[Event] = []
    while (request := backlog.next_command()) is not None:
        for line in lines[request.before - 1 - request.count : request.before - 1]:
            shown += backlog.receive(line)
        shown += backlog.complete_page()
    assert shown == lines


def test_lines_that_are_purged_meanwhile() -> None:
    """They show as a gap, also where a time is wanted."""
    room = Room(2_500)
    reader = Reader(room, Since(seconds=10**6))
    room.enter()
    while len(reader.numbers) < 1_000:
        reader.step()
        room.send(1)
    room.cut()
    reader.backlog.lose_connection()
    room.purge(1_500)
    room.enter()
    reader.finish()
    assert reader.numbers == [*range(1, 1_001), *range(1_501, 2_501)]
    assert reader.gaps == [Gap("ops", 1_001, 1_500)]


def test_server_with_a_slow_clock() -> None:
    """Live lines are wanted, whatever their time."""
    room = Room(10, now=NOW - 100_000)
    reader = Reader(room, Since(seconds=60))
    room.enter()
    room.say()
    reader.finish()
    assert reader.numbers == [11]


def test_room_that_was_created_again() -> None:
    """It has fewer lines than were received of it: all of them are new."""
    assert replayed(Room(3), Since(seq=500)).numbers == [1, 2, 3]


@pytest.mark.parametrize(
    ("since", "steps"),
    [(Since(seq=0), 20), (Since(seq=0), 300), (Since(seconds=10**6), 2), (Since(seconds=10**6), 300)],
)
def test_room_that_is_created_again_during_a_page(since: Since, steps: int) -> None:
    """After the next entry its lines are wanted, and no old ones are missed."""
    reader = Reader(Room(2_500), since)
    reader.room.enter()
    for _ in range(steps):
        reader.step()
        reader.room.send(1)
    before = len(reader.shown)
    reader.backlog.lose_connection()
    reader.room = Room(2)
    reader.room.enter()
    reader.finish()
    assert reader.numbers[before:] == [1, 2]
    assert reader.gaps == []


def test_room_that_is_created_again_during_the_search() -> None:
    """What was found of the old lines does not count for the new ones."""
    reader = Reader(Room(50_000, stored=10), Since(seq=40_000))
    reader.room.enter(0)
    while len(reader.requests) < 5:
        reader.step()
        reader.room.send(1_001)
    reader.backlog.lose_connection()
    reader.room = Room(3)
    reader.room.enter()
    reader.finish()
    assert reader.shown == [reader.room.line(seq) for seq in (1, 2, 3)]


def test_one_line_of_each_page_arrives() -> None:
    """However slow the progress is, everything is shown."""
    backlog = Backlog(Since(seq=0))
    backlog.begin(Entered("ops", 10, 2, "-"))
    shown: list[Event] = []
    while (request := backlog.next_command()) is not None:
        shown += backlog.receive(Said("ops", request.before - request.count, 1, "bob", "red", "hi"))
        shown += backlog.complete_page()
    assert [_seq(event) for event in shown] == list(range(1, 11))


def test_connection_lost_during_a_page() -> None:
    """The rest of the page is asked for after the next entry, and nothing is shown twice."""
    room = Room(2_500)
    reader = Reader(room, Since(seq=0))
    room.enter()
    for _ in range(101):
        reader.step()
        room.send(1)
    room.cut()
    reader.backlog.lose_connection()
    assert 0 < len(reader.numbers) < 200
    room.say()
    room.wire.clear()
    room.enter()
    reader.finish()
    assert reader.numbers == list(range(1, 2_502))


def test_room_with_another_spelling() -> None:
    """It is the same room after the next entry."""
    backlog = Backlog(Since(seq=0))
    backlog.begin(Entered("ops", 500, 2, "-"))
    backlog.next_command()
    backlog.lose_connection()
    backlog.begin(Entered("Ops", 500, 2, "-"))
    assert backlog.next_command() == History(500, 501)
    line = Said("OPS", 1, 1, "bob", "red", "hi")
    assert backlog.receive(line) == [line]


def test_other_room_ends_the_backlog() -> None:
    """Its lines are shown."""
    backlog = Backlog(Since(seq=0))
    backlog.begin(Entered("ops", 500, 2, "-"))
    assert backlog.next_command() == History(500, 501)
    backlog.begin(Entered("lobby", 9, 1, "-"))
    line = Said("lobby", 10, 1, "bob", "red", "hi")
    assert backlog.receive(line) == [line]
    assert (backlog.is_done, backlog.refuse_page(), backlog.complete_page(), backlog.next_command()) == (
        True,
        [],
        [],
        None,
    )


def test_nothing_before_the_room_is_entered() -> None:
    """Nothing is asked, and what comes belongs to a room on the way."""
    backlog = Backlog(Since(seq=0))
    assert backlog.next_command() is None
    assert backlog.receive(Said("lobby", 1, 1, "bob", "red", "hi")) == []
    assert not backlog.is_done


def test_one_page_at_a_time() -> None:
    """The next is asked for when the answer is complete."""
    backlog = Backlog(Since(seq=0))
    backlog.begin(Entered("ops", 5_000, 2, "-"))
    assert backlog.next_command() is not None
    assert backlog.next_command() is None


def test_actions_are_lines_too() -> None:
    """They are counted with the messages."""
    backlog = Backlog(Since(seq=4))
    backlog.begin(Entered("ops", 5, 2, "-"))
    backlog.next_command()
    acted = Acted("ops", 5, 1, "bob", "red", "waves")
    assert backlog.receive(acted) == [acted]


def test_gap_of_the_server() -> None:
    """At the end it is passed on; before, missing lines are noticed anyway."""
    backlog = Backlog(Since(seq=5))
    backlog.begin(Entered("ops", 5, 2, "-"))
    gap = Gap("ops", 6, 9)
    assert backlog.receive(gap) == []
    backlog.next_command()
    backlog.complete_page()
    assert backlog.receive(gap) == [gap]


def test_refused_page() -> None:
    """What is missing shows as a gap, and live lines go on."""
    backlog = Backlog(Since(seq=5))
    backlog.begin(Entered("ops", 9, 2, "-"))
    assert backlog.refuse_page() == []  # nothing was asked
    backlog.next_command()
    assert backlog.refuse_page() == [Gap("ops", 6, 9)]
    assert backlog.is_done


def test_lines_that_never_come() -> None:
    """They are given up."""
    backlog = Backlog(Since(seq=0))
    backlog.begin(Entered("ops", 2_000, 2, "-"))
    last = Said("ops", 2_000, 1, "bob", "red", "hi")
    shown: list[Event] = []
    requests = 0
    while (request := backlog.next_command()) is not None:
        requests += 1
        if request.count == 1:
            shown += backlog.receive(Said("ops", request.before - 1, 1, "bob", "red", "hi"))
        shown += backlog.complete_page()
    assert shown == [Gap("ops", 1, 2_000)]
    assert PATIENCE < requests <= 2 * (PATIENCE + 1)
    assert backlog.receive(last) == [last]


LINES = st.builds(
    Said,
    st.sampled_from(["ops", "OPS", "lobby"]),
    st.integers(0, 3_000) | st.integers(0, 10**15 - 1),
    st.integers(0, 2 * int(NOW * 1000)),
    st.just("bob"),
    st.just("red"),
    st.just("hi"),
)
SINCE = st.builds(Since, st.integers(0, 3_000)) | st.builds(Since, seconds=st.integers(0, 3_000))


@given(SINCE, st.integers(0, 10**15 - 1), st.lists(st.lists(LINES, max_size=5), max_size=20))
def test_nonsense_of_the_server_comes_to_an_end(since: Since, end: int, answers: list[list[Said]]) -> None:
    """Whatever it answers, the requests end, and no line goes back before one that was shown."""
    backlog = Backlog(since, lambda: NOW)
    backlog.begin(Entered("ops", end, 2, "-"))
    shown: list[Event] = []
    requests = 0
    while backlog.next_command() is not None:
        requests += 1
        for line in answers.pop() if answers else []:
            shown += backlog.receive(line) if not backlog.is_done else []
        shown += backlog.complete_page()
        assert requests <= 20 + (PATIENCE + 2) * (SEARCH_QUESTIONS + 1)
    assert backlog.is_done
    numbers = [event.seq for event in shown if isinstance(event, Said)]
    assert numbers == sorted(set(numbers))


@given(
    st.integers(0, 2_200),
    st.integers(1, 2_200),
    SINCE,
    st.lists(st.sampled_from(["receive", "receive", "send", "send", "say", "purge", "lose"]), max_size=150),
    st.integers(0, 60),
    st.integers(1, 700),
)
def test_each_line_is_shown_once_or_in_a_gap(
    count: int, stored: int, since: Since, steps: list[str], followed_by: int, many: int
) -> None:
    """While lines are posted, purged, and connections are lost."""
    room = Room(count, stored=min(stored, count))
    start = since.seq if since.seq <= count else 0
    wanted = start + 1 if since.seconds is None else count + 1 - min(count, since.seconds + 1)
    reader = Reader(room, since)
    room.enter(followed_by)
    for step_name in steps:
        reader.do(step_name, many, followed_by)
    reader.finish()
    following = wanted
    for event in reader.shown:
        first, last = (event.first, event.last) if isinstance(event, Gap) else (_seq(event), _seq(event))
        if since.seconds is not None and following == wanted and first > wanted:
            assert first <= room.first
            following = first
        assert first == following
        assert not isinstance(event, Gap) or last < room.first
        following = last + 1
    if since.seconds is None or reader.shown:
        assert following == room.end + 1
    else:
        assert wanted > room.end or room.first > room.end


def _seq(event: Event) -> int:
    assert isinstance(event, Said)
    return event.seq
