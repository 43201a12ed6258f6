"""hubbub.protocol.events: encoding and parsing what the server sends."""

import re

import pytest
from hypothesis import given, strategies as st

from hubbub import protocol
from hubbub.protocol import (
    EVENTS,
    LAYOUTS,
    LINE_BYTES,
    NAME_COLUMNS,
    ROOM_COLUMNS,
    TEXT_CHARS,
    Acted,
    Event,
    LineDecoder,
    ProtocolError,
    Said,
    clean,
    decode_line,
    encode_run,
    parse_event,
)
from hubbub.protocol.validation import NUMBER_DIGITS
from tests.protocol.strategies import any_text, events_of, few, rows, texts, unhurried, usages_under


def event_refusal(text: str) -> ProtocolError:
    """Return the error with which the event in `text` is refused."""
    with pytest.raises(ProtocolError) as caught:
        parse_event(text)
    return caught.value


@pytest.mark.parametrize("kind", EVENTS.values(), ids=list(EVENTS))
@few
@given(data=st.data())
def test_event_comes_back_as_it_was_sent(kind: type[Event], data: st.DataObject) -> None:
    """Encoding an event and parsing its line are inverse, for every kind."""
    event = data.draw(events_of(kind))
    [line] = LineDecoder(limit=100_000).feed(event.encode())

    assert parse_event(decode_line(line)) == event


def test_event_on_the_wire() -> None:
    """An event is a slash, its word, and its fields separated by one space."""
    event = Said("lobby", 3, 1763804420789, "alice", "red", " hi  bob ")

    assert event.encode() == b"/say lobby 3 1763804420789 alice red  hi  bob \n"


@unhurried
@given(st.lists(any_text.map(lambda text: clean(text)), max_size=4), st.sampled_from([Said, Acted]))
def test_a_run_is_its_lines_one_after_another(texts: list[str], kind: type[Said | Acted]) -> None:
    """`encode_run` writes what `encode` of each line would, with SEQs that count on."""
    lines = [kind("ops", 7 + number, 1_000, "bob", "red", text).encode() for number, text in enumerate(texts)]
    assert encode_run(kind, "ops", 7, 1_000, "bob", "red", texts) == b"".join(lines)


def test_longest_message_fits_a_line() -> None:
    """A message of the most characters, room and name of the most bytes and the largest numbers is one line."""
    widest = "\U0001d7d9"  # four bytes in UTF-8, as every character here
    largest = 10**NUMBER_DIGITS - 1
    room = widest * ROOM_COLUMNS * (1 + protocol.MARKS_PER_LETTER)
    name = widest * NAME_COLUMNS * (1 + protocol.MARKS_PER_LETTER)

    line = Said(room, largest, largest, name, "light-blue", widest * TEXT_CHARS).encode()

    assert len(line.removesuffix(b"\n")) <= LINE_BYTES


@pytest.mark.parametrize(
    "line", ["/dance", "/SAY lobby 1 2 alice red hi", "say x", "", "/", "//say", "hello world", " "]
)
def test_line_that_is_no_event_is_unknown(line: str) -> None:
    """A client can tell what it does not know, to ignore it: the protocol may grow."""
    assert event_refusal(line).code == "unknown-event"


@pytest.mark.parametrize(
    "line",
    [
        "/say",
        "/say lobby 1 2 alice red",
        "/joined lobby 1 alice",
        "/joined lobby  1 alice red",
        "/end",
        "/end ",
        "/error",
        "/entered lobby 1 2 ",
    ],
)
def test_event_with_a_missing_or_empty_field_is_malformed(line: str) -> None:
    """Each event has its number of fields, and none of them but a text is empty."""
    assert event_refusal(line).code == "malformed"


@pytest.mark.parametrize("number", ["-1", "+1", "x", "1.0", "١", "1" * 16, "9" * 5_000, "0x1"])
def test_event_with_a_field_that_is_no_number_is_malformed(number: str) -> None:
    """Negative numbers, more than 15 digits and other digits are no numbers of the protocol."""
    error = event_refusal(f"/gap lobby 1 {number}")

    assert error.code == "malformed"
    assert len(error.text) < 200


def test_number_of_15_digits_is_read() -> None:
    """The largest number that every language can hold is still one."""
    assert parse_event(f"/gap lobby 1 {'9' * 15}") == protocol.Gap("lobby", 1, 10**15 - 1)


def test_last_field_of_an_event_is_the_rest_of_its_line() -> None:
    """A later version may add to the last field; what is known comes first."""
    assert parse_event("/entered lobby 1 2 locked quiet") == protocol.Entered("lobby", 1, 2, "locked quiet")


@pytest.mark.parametrize("flags", ["locked", "locked quiet", "quiet,locked"])
def test_flag_among_others(flags: str) -> None:
    """A later version may send more of them."""
    rooms = protocol.Entered("ops", 1, 2, flags), protocol.RoomRow("ops", 2, flags)
    assert [room.locked for room in rooms] == [True, True]


@pytest.mark.parametrize("flags", ["-", "unlocked", "quiet"])
def test_flag_that_is_not_there(flags: str) -> None:
    """A room without the flag is open."""
    rooms = protocol.Entered("ops", 1, 2, flags), protocol.RoomRow("ops", 2, flags)
    assert [room.locked for room in rooms] == [False, False]


def test_text_of_an_event_may_be_empty() -> None:
    """An empty text is a text, not a missing field."""
    assert parse_event("/say lobby 1 2 alice red ") == Said("lobby", 1, 2, "alice", "red", "")


@unhurried
@given(
    st.one_of(
        texts,
        texts.map(lambda text: "/" + text),
        st.builds("/{} {}".format, st.sampled_from(list(EVENTS)), texts),
        st.builds("/{} {}".format, st.sampled_from(list(EVENTS)), rows),
    )
)
def test_any_line_is_an_event_or_refused(line: str) -> None:
    """Nothing that a server sends raises anything but ProtocolError."""
    try:
        event = parse_event(line)
    except ProtocolError as error:
        assert error.code in {"unknown-event", "malformed"}
    else:
        assert isinstance(event, Event)


def test_docstring_lists_every_event() -> None:
    """The table of the docstring and the one that events are parsed by name the same words, in the same order."""
    words_told = [usage.split()[0] for usage in usages_under("From the server")]

    assert words_told == [f"/{word}" for word in EVENTS]


@pytest.mark.parametrize("usage", usages_under("From the server"))
def test_docstring_lists_every_field_of_an_event(usage: str) -> None:
    """An event has as many fields as its row of the docstring."""
    word, *fields = usage.split()

    assert len(re.findall(r"\b[A-Z]+\b", " ".join(fields))) == len(LAYOUTS[EVENTS[word[1:]]].names)
