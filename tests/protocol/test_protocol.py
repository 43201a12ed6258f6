r"""protocol.py: bytes become lines, lines become events and commands and back, and what people write becomes safe."""

import contextlib
import re
import unicodedata
from dataclasses import MISSING, FrozenInstanceError
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub import protocol
from hubbub.client.commands import COMMANDS as CLIENT_COMMANDS
from hubbub.protocol import (
    COLORS,
    COMMANDS,
    EVENTS,
    FOREIGN_WORDS,
    LAYOUTS,
    LINE_BYTES,
    NAME_COLUMNS,
    ROOM_COLUMNS,
    TEXT_CHARS,
    Acted,
    Color,
    Command,
    CommandRow,
    Event,
    Exit,
    Help,
    History,
    Join,
    Layout,
    Leave,
    Line,
    LineDecoder,
    LineTooLongError,
    List,
    Me,
    Msg,
    Name,
    Notice,
    PrivateMessage,
    ProtocolError,
    Renamed,
    Said,
    Say,
    Who,
    check_color,
    check_name,
    check_room,
    check_text,
    clean,
    command_table,
    decode_line,
    decode_lines,
    default_color,
    encode_run,
    find_command,
    fold_name,
    parse_command,
    parse_event,
)
from hubbub.protocol.words import NUMBER_DIGITS

# A busy machine is no failure, and 50 examples for each kind of line are enough: there are many kinds.
unhurried = settings(deadline=None)
few = settings(deadline=None, max_examples=50)

# ----------------------------------------------------------------------------------------------------------- strategies

# What may arrive from anywhere; lone surrogates are no text and cannot come out of a decoder.
any_text = st.text(st.characters(exclude_categories=["Cs"]))
texts = any_text.map(clean)
words = any_text.map(lambda text: clean(text).replace(" ", "")).filter(bool)
numbers = st.integers(min_value=0, max_value=10**NUMBER_DIGITS - 1)
rows = st.lists(st.one_of(words, numbers.map(str))).map(" ".join)  # of fields


def fields_of(layout: Layout, last: st.SearchStrategy[str]) -> list[st.SearchStrategy[Any]]:
    """Return a strategy for each field; `last` makes the one that holds what a person wrote."""
    fields: list[st.SearchStrategy[Any]] = [numbers if type_ is int else words for type_ in layout.types]
    return [*fields[:-1], last] if layout.ends_in_text else fields


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Return a strategy for events of one kind."""
    return st.tuples(*fields_of(LAYOUTS[kind], texts)).map(lambda values: kind(*values))


def commands_of(kind: type[Command]) -> st.SearchStrategy[Command]:
    """Return a strategy for commands of one kind, with any number of the fields that may be left out."""
    fields = fields_of(LAYOUTS[kind], texts.filter(bool))
    needed = LAYOUTS[kind].defaults.count(MISSING)
    return st.one_of(
        [st.tuples(*fields[:count]).map(lambda values: kind(*values)) for count in range(needed, len(fields) + 1)]
    )


commands = st.one_of(*(commands_of(row.kind) for row in COMMANDS.values()), texts.filter(bool).map(Say))
events = st.one_of(*(events_of(kind) for kind in EVENTS.values()))


@st.composite
def cut(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    """Return bytes, and the same bytes in pieces."""
    whole = draw(data)
    places = sorted(draw(st.lists(st.integers(0, len(whole)))))
    return whole, [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]


def lines_of(decoder: LineDecoder, pieces: list[bytes]) -> list[bytes | str]:
    """Feed `pieces` and return every line that comes out; a refusal is the last of them, as its code."""
    lines: list[bytes | str] = []
    for piece in pieces:
        try:
            lines += decoder.feed(piece)
        except LineTooLongError as error:
            return [*lines, *error.lines, error.code]
    return lines


def refusal(text: str) -> ProtocolError:
    """Return the error with which the command in `text` is refused."""
    with pytest.raises(ProtocolError) as caught:
        parse_command(text)
    return caught.value


def event_refusal(text: str) -> ProtocolError:
    """Return the error with which the event in `text` is refused."""
    with pytest.raises(ProtocolError) as caught:
        parse_event(text)
    return caught.value


# -------------------------------------------------------------------------------------------------------- encode, parse


@pytest.mark.parametrize("kind", EVENTS.values(), ids=list(EVENTS))
@few
@given(data=st.data())
def test_event_comes_back_as_it_was_sent(kind: type[Event], data: st.DataObject) -> None:
    """Encoding an event and parsing its line are inverse, for every kind."""
    event = data.draw(events_of(kind))
    [line] = LineDecoder(limit=100_000).feed(event.encode())

    assert parse_event(decode_line(line)) == event


@pytest.mark.parametrize("kind", [row.kind for row in COMMANDS.values()], ids=list(COMMANDS))
@few
@given(data=st.data())
def test_command_comes_back_as_it_was_sent(kind: type[Command], data: st.DataObject) -> None:
    """Encoding a command and parsing its line are inverse, for every kind."""
    command = data.draw(commands_of(kind))
    [line] = LineDecoder(limit=100_000).feed(command.encode())

    assert parse_command(decode_line(line)) == command


@unhurried
@given(texts.filter(bool))
def test_what_is_said_comes_back_as_it_was_sent(text: str) -> None:
    """Encoding and parsing are inverse for what is said, too."""
    [line] = LineDecoder().feed(Say(text).encode())

    assert parse_command(decode_line(line)) == Say(text)


@pytest.mark.parametrize("text", ["/", "/exit", "//", "//x", "/ x"])
def test_said_text_that_looks_like_a_command_stays_text(text: str) -> None:
    """A leading slash is doubled on the wire, so no text becomes a command."""
    assert parse_command(Say(text).encode().decode().removesuffix("\n")) == Say(text)


@unhurried
@given(st.lists(st.one_of(commands, events)))
def test_lines_sent_together_arrive_as_many(lines: list[Line]) -> None:
    """Every line ends where it says and nowhere else."""
    stream = b"".join(line.encode() for line in lines)

    assert LineDecoder(limit=100_000).feed(stream) == [line.encode().removesuffix(b"\n") for line in lines]


def test_event_on_the_wire() -> None:
    """An event is a slash, its word, and its fields separated by one space."""
    event = Said("lobby", 3, 1763804420789, "alice", "red", " hi  bob ")

    assert event.encode() == b"/say lobby 3 1763804420789 alice red  hi  bob \n"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (Name("alice"), b"/name alice\n"),
        (Name("alice", "red"), b"/name alice red\n"),
        (Who(), b"/who\n"),
        (History(), b"/history\n"),
        (History(10), b"/history 10\n"),
        (History(before=7), b"/history 50 7\n"),
        (Leave(), b"/leave\n"),
    ],
)
def test_fields_at_their_defaults_are_left_out(command: Command, line: bytes) -> None:
    """A command on the wire is as short as a person would type it."""
    assert command.encode() == line


def test_template_makes_the_same_bytes_as_encode() -> None:
    """Whoever fills a layout's template directly sends what encode() would."""
    event = Acted("lobby", 1, 2, "alice", "red", "100 % sure")
    layout = LAYOUTS[Acted]

    assert (layout.template % layout.values(event)).encode() == event.encode()


def test_lone_surrogate_is_sent_as_a_question_mark() -> None:
    """Text that is not Unicode cannot break the connection of those who read it."""
    assert Notice("a\ud800b").encode() == b"/notice a?b\n"


# -------------------------------------------------------------------------------------------------------------- decoder

stream_bytes = st.lists(
    st.one_of(st.binary(max_size=6), st.sampled_from([b"\n", b"\r\n", b"\r", b"abcdefgh", "é漢🙂".encode()]))
).map(b"".join)


@unhurried
@given(cut(stream_bytes))
def test_any_cutting_gives_the_same_lines(data: tuple[bytes, list[bytes]]) -> None:
    """How TCP cuts the bytes changes neither the lines, nor what is left over."""
    whole, pieces = data
    at_once, piecewise = LineDecoder(), LineDecoder()

    assert lines_of(piecewise, pieces) == lines_of(at_once, [whole])
    assert piecewise.buffered_bytes == at_once.buffered_bytes


@unhurried
@given(cut(stream_bytes))
def test_any_cutting_refuses_the_same_line(data: tuple[bytes, list[bytes]]) -> None:
    """A line over the limit is refused after the same lines, however it arrives."""
    whole, pieces = data

    assert lines_of(LineDecoder(limit=8), pieces) == lines_of(LineDecoder(limit=8), [whole])


@unhurried
@given(stream_bytes)
def test_byte_by_byte_gives_the_same_lines(data: bytes) -> None:
    """A client may send one byte at a time."""
    single = [bytes([byte]) for byte in data]

    assert lines_of(LineDecoder(), single) == lines_of(LineDecoder(), [data])


@unhurried
@given(
    st.lists(st.binary().map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))), st.sampled_from([b"\n", b"\r\n"])
)
def test_many_lines_in_one_read(lines: list[bytes], end: bytes) -> None:
    """One read may bring many lines; each comes out whole, with either end."""
    assert LineDecoder().feed(b"".join(line + end for line in lines)) == lines


def test_only_one_carriage_return_belongs_to_the_end() -> None:
    """One CR before the LF is dropped; any other is part of the line."""
    assert LineDecoder().feed(b"a\rb\r\r\n") == [b"a\rb\r"]


def test_carriage_return_and_line_feed_in_two_reads() -> None:
    """A cut inside CR LF leaves no CR behind."""
    decoder = LineDecoder()
    decoder.feed(b"hi\r")

    assert decoder.feed(b"\n") == [b"hi"]


def test_multibyte_character_in_two_reads() -> None:
    """A cut inside a character does not harm it."""
    first, second = b"na\xc3", b"\xafve\n"
    decoder = LineDecoder()
    decoder.feed(first)

    assert [decode_line(line) for line in decoder.feed(second)] == ["naïve"]


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    """Bytes that are not UTF-8 neither raise nor vanish."""
    assert decode_line(b"a\xff\xfe\xc3(b") == "a\ufffd\ufffd\ufffd(b"


@unhurried
@given(st.binary())
def test_any_bytes_can_be_shown(line: bytes) -> None:
    """Every line can be decoded, and what comes out is clean."""
    text = decode_line(line)

    assert clean(text) == text


def test_empty_line_is_a_line() -> None:
    """An end alone is an empty line; what to do with it is the reader's decision."""
    assert LineDecoder().feed(b"\n\r\n") == [b"", b""]


def test_line_of_16384_bytes_is_accepted() -> None:
    """The limit itself is allowed."""
    assert LineDecoder().feed(b"x" * 16_384 + b"\n") == [b"x" * 16_384]


def test_unfinished_line_of_16384_bytes_is_held() -> None:
    """A line that may still end in time is waited for."""
    decoder = LineDecoder()
    decoder.feed(b"x" * 16_384)

    assert decoder.feed(b"\n") == [b"x" * 16_384]


@pytest.mark.parametrize("end", [b"\n", b"\n\n", b"\nnext", b""], ids=["finished", "empty next", "next", "unfinished"])
def test_line_of_16385_bytes_is_refused(end: bytes) -> None:
    """One byte more is refused, finished or not, with the limit named."""
    with pytest.raises(LineTooLongError, match="16384 bytes"):
        LineDecoder().feed(b"x" * 16_385 + end)


def test_line_that_grows_over_the_limit_is_refused() -> None:
    """The limit counts what was held before, too."""
    decoder = LineDecoder()
    decoder.feed(b"x" * 16_384)

    with pytest.raises(LineTooLongError):
        decoder.feed(b"x")


@pytest.mark.parametrize("end", [b"\nafter\n", b""], ids=["finished", "unfinished"])
def test_whole_lines_before_the_long_one_are_handed_out(end: bytes) -> None:
    """What came before the refused line is not lost; what came after it is dropped."""
    with pytest.raises(LineTooLongError) as caught:
        LineDecoder().feed(b"one\r\ntwo\n" + b"x" * 16_385 + end)

    assert caught.value.lines == [b"one", b"two"]


def test_nothing_is_held_after_a_refusal() -> None:
    """A refused line leaves no bytes behind."""
    decoder = LineDecoder()
    with pytest.raises(LineTooLongError):
        decoder.feed(b"x" * 16_385)

    assert decoder.buffered_bytes == 0


def test_ten_megabytes_without_an_end_raise_at_once() -> None:
    """An endless line is refused with its first 64 KiB, and each time again; never more than the limit is held."""
    decoder = LineDecoder()
    for _ in range(10_000_000 // 65_536):
        with pytest.raises(LineTooLongError):
            decoder.feed(b"x" * 65_536)
        assert decoder.buffered_bytes <= LINE_BYTES


def test_endless_line_in_small_pieces_is_refused_at_the_limit() -> None:
    """However small the pieces, the limit is where it ends."""
    decoder = LineDecoder()
    for _ in range(LINE_BYTES // 1_024):
        decoder.feed(b"x" * 1_024)

    with pytest.raises(LineTooLongError):
        decoder.feed(b"x" * 1_024)


def test_unfinished_counts_what_is_held() -> None:
    """When the connection ends, the reader knows that a line was cut short, and by how much."""
    decoder = LineDecoder()
    decoder.feed(b"whole\nhalf")

    assert decoder.buffered_bytes == 4


def test_nothing_is_unfinished_after_an_end() -> None:
    """A connection that ends after a whole line loses nothing."""
    decoder = LineDecoder()
    decoder.feed(b"half")
    decoder.feed(b"\n")

    assert decoder.buffered_bytes == 0


# ---------------------------------------------------------------------------------------------------------------- clean


# Every character that the contract removes: C0 but the tab, DEL and C1, separators and overrides, isolates.
_RANGES = (range(0x20), range(0x7F, 0xA0), range(0x2028, 0x202F), range(0x2066, 0x206A))
UNSAFE = [chr(code) for codes in _RANGES for code in codes if chr(code) != "\t"]


@pytest.mark.parametrize("char", UNSAFE, ids=lambda char: f"U+{ord(char):04X}")
def test_unsafe_character_is_removed(char: str) -> None:
    """Nothing stays that could move a cursor, ring, colour, end a line or turn its direction."""
    assert clean(f"a{char}b{char}") == "ab"


def test_tab_becomes_a_space() -> None:
    """A tab keeps words apart, but the columns where they are."""
    assert clean("a\tb\x1b") == "a b"


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦",  # joined by U+200D
        "🏳️‍🌈",
        "می‌خواهم",  # holds U+200C
        "שלום hello",
        "e\u0301 नमस्ते ที่นี่",
        "non-breaking\xa0space and soft\xadhyphen",
        "  two spaces  ",
        "\ufffd",
        "",
    ],
)
def test_writing_of_any_script_stays(text: str) -> None:
    """Joiners, marks and spaces are how people write; they stay as they are."""
    assert clean(text) == text


@unhurried
@given(st.lists(st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"")), max_size=5))
@example([b"\xe4\xbd", b"\xa0", b"\xf0\x9f\x98", b"a\x1b"])
def test_many_lines_are_decoded_as_one_by_one(lines: list[bytes]) -> None:
    """A character cut by the end of a line, or a control in one, changes nothing in the next."""
    assert decode_lines(lines) == [decode_line(line) for line in lines]


@unhurried
@given(any_text)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """Server and client both clean; the second finds nothing to do."""
    assert clean(clean(text)) == clean(text)


@unhurried
@given(any_text)
def test_no_control_survives(text: str) -> None:
    """Whatever is written, no control, line or paragraph separator is left."""
    assert {unicodedata.category(char) for char in clean(text)}.isdisjoint({"Cc", "Zl", "Zp"})


@unhurried
@given(st.text(st.sampled_from(["a", " ", "\t", "é", "\u200d", *UNSAFE])))
def test_only_the_unsafe_is_taken(text: str) -> None:
    """What cleaning leaves is what was written, without the unsafe characters and with spaces for tabs."""
    assert clean(text) == "".join(" " if char == "\t" else char for char in text if char not in UNSAFE)


UNSAFE_SAMPLES = ["\x00", "\x1b", "\x07", "\x7f", "\x9b", "\u202e", "\u2067"]


@pytest.mark.parametrize("char", UNSAFE_SAMPLES, ids=ascii)
def test_unsafe_character_in_a_line_is_gone_from_text_name_and_room(char: str) -> None:
    """What the border lets in holds none of them, wherever they stood."""
    lines = [f"hi{char} bob", f"/name al{char}ice", f"/join o{char}ps"]
    parsed = [parse_command(decode_line(line.encode())) for line in lines]

    assert parsed == [Say("hi bob"), Name("alice"), Join("ops")]


@pytest.mark.parametrize("char", UNSAFE_SAMPLES, ids=ascii)
def test_unsafe_character_is_refused_in_a_name(char: str) -> None:
    """A name that was not cleaned does not get through either."""
    with pytest.raises(ProtocolError) as caught:
        check_name(f"al{char}ice")
    assert caught.value.code == "name-invalid"


@pytest.mark.parametrize("char", UNSAFE_SAMPLES, ids=ascii)
def test_unsafe_character_is_refused_in_a_room(char: str) -> None:
    """A room that was not cleaned does not get through either."""
    with pytest.raises(ProtocolError) as caught:
        check_room(f"o{char}ps")
    assert caught.value.code == "room-invalid"


# ------------------------------------------------------------------------------------------------------ names and rooms


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "7",
        "alice",
        "Alice_B-2.0",
        "x" * 20,
        "漢" * 10,
        "Zoë",
        "Ольга",
        "मीरा",
        "ที่รัก",  # two marks on one letter
        "한글",
        "שרה",
        "ヴィクトル",
        "か\u3099",
        "សុខា",
        "עֲלִיָּה",
        "மீனா",
        "х\u0301",
        "servers",
    ],
)
def test_name_is_accepted(name: str) -> None:
    """Names of any script are names, and stay as they were written."""
    assert check_name(name) == unicodedata.normalize("NFKC", name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "Choose 1-20 letters, digits, _ - or . (no spaces)"),
        ("x" * 21, "too long"),
        ("漢" * 10 + "x", "too long"),
        ("two words", "Choose 1-20 letters, digits, _ - or . (no spaces)"),
        ("no\xa0break", "1-20 letters, digits"),
        ("a/b", "1-20 letters, digits"),
        ("a@b", "1-20 letters, digits"),
        ("smile🙂", "1-20 letters, digits"),
        ("a\u200db", "1-20 letters, digits"),
        ("a\u3164", "1-20 letters, digits"),
        ("\u3164", "starts with a letter or a digit"),
        ("\u1160", "starts with a letter or a digit"),
        ("\uffa0", "starts with a letter or a digit"),
        ("_a", "starts with a letter or a digit"),
        ("-a", "starts with a letter or a digit"),
        (".a", "starts with a letter or a digit"),
        ("/a", "starts with a letter or a digit"),
        ("\u0301a", "starts with a letter or a digit"),
        ("-", "starts with a letter or a digit"),
        ("a\u0327\u0327\u0327", "1-20 letters, digits"),
        ("a" + "\u0301" * 5_000, "too long"),
        ("a\u115f", "1-20 letters, digits"),
        ("alice\u034f", "1-20 letters, digits"),
        ("alice\ufe0f", "1-20 letters, digits"),
        ("alice\u180b", "1-20 letters, digits"),
        ("alice\U000e0101", "1-20 letters, digits"),
        ("\u115f", "starts with a letter or a digit"),
        ("alice\u17d2", "1-20 letters, digits"),
        ("alice\u2d7f", "1-20 letters, digits"),
        ("7\U0001107f", "1-20 letters, digits"),
    ],
    ids=ascii,
)
def test_name_is_refused_and_told_why(name: str, told: str) -> None:
    """Whoever is refused a name reads which rule it broke."""
    with pytest.raises(ProtocolError) as caught:
        check_name(name)
    assert (caught.value.code, told in caught.value.text) == ("name-invalid", True)


@pytest.mark.parametrize("name", ["server", "system", "everyone", "SERVER", "Everyone", "ｓｙｓｔｅｍ", "ſerver"])
def test_reserved_name_is_refused(name: str) -> None:
    """Nobody can speak as the chat itself, however it is written."""
    with pytest.raises(ProtocolError, match="is reserved; choose another"):
        check_name(name)


def test_full_width_letters_become_ordinary_ones() -> None:
    """A name is what it looks like: NFKC is applied."""
    assert check_name("Ａｌｉｃｅ１") == "Alice1"


def test_letter_and_accent_become_one_character() -> None:
    """A name typed on a Mac and on Linux is the same name."""
    assert check_name("Zoe\u0308") == "Zo\xeb"


def test_columns_count_after_normalising() -> None:
    """Twenty full-width letters are twenty columns, as they will be shown."""
    assert check_name("ａ" * 20) == "a" * 20


@unhurried
@given(any_text)
def test_accepted_name_is_one_word_that_stays_accepted(text: str) -> None:
    """A name is refused as such, or is one field of a line that means the same when it is checked again."""
    try:
        name = check_name(text)
    except ProtocolError as error:
        assert error.code == "name-invalid"
    else:
        assert name == check_name(clean(name)).replace(" ", "")


def test_room_of_32_columns_is_accepted() -> None:
    """Rooms follow the rules of names, with more room."""
    assert check_room("r" * 32) == "r" * 32


@pytest.mark.parametrize(
    ("room", "told"),
    [
        ("", "Choose 1-32 letters, digits, _ - or . (no spaces)"),
        ("r" * 33, "too long"),
        ("漢" * 16 + "r", "too long"),
        ("-ops", "a room starts with a letter or a digit"),
        ("##ops", "a room starts with a letter or a digit"),
        ("o ps", "1-32 letters"),
    ],
)
def test_room_is_refused_and_told_why(room: str, told: str) -> None:
    """Whoever is refused a room reads which rule it broke."""
    with pytest.raises(ProtocolError) as caught:
        check_room(room)
    assert (caught.value.code, told in caught.value.text) == ("room-invalid", True)


def test_room_may_have_a_reserved_name() -> None:
    """Nobody speaks as a room, so no name of a room is reserved."""
    assert check_room("system") == "system"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "aLICE"),
        ("ＡＬＩＣＥ", "alice"),
        ("straße", "STRASSE"),
        ("Ζωῆς", "ΖΩῆΣ"),
        ("e\u0301", "É"),
        ("㎒", "mhz"),
        ("\u0390", "\u03aa\u0301"),
    ],
)
def test_names_in_another_case_or_form_are_the_same(one: str, other: str) -> None:
    """Nobody takes the name of another by writing it differently."""
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(("one", "other"), [("alice", "alice1"), ("a.b", "a-b"), ("Ola", "Ołа")])
def test_different_names_are_not_the_same(one: str, other: str) -> None:
    """Names that read differently are different names."""
    assert fold_name(one) != fold_name(other)


@unhurried
@given(any_text)
def test_key_of_a_key_is_itself(text: str) -> None:
    """What two names have in common does not depend on how often it is asked."""
    assert fold_name(fold_name(text)) == fold_name(text)


# ----------------------------------------------------------------------------------------------------- colours and text


@pytest.mark.parametrize("color", COLORS)
def test_every_colour_is_accepted(color: str) -> None:
    """All twelve can be chosen."""
    assert check_color(color) == color


@pytest.mark.parametrize("text", ["light blue", "Light Blue", "LIGHT-BLUE", "  light   blue "])
def test_light_blue_may_be_typed_as_people_do(text: str) -> None:
    """A space, more of them, and capitals are understood."""
    assert check_color(text) == "light-blue"


@pytest.mark.parametrize("text", ["", "mauve", "light", "lightblue", "red blue"])
def test_unknown_colour_is_refused_naming_all(text: str) -> None:
    """Whoever asks for another colour reads the twelve."""
    with pytest.raises(ProtocolError) as caught:
        check_color(text)
    assert caught.value.args == ("color-unknown", f"choose a colour of {', '.join(COLORS)}")


@pytest.mark.parametrize("name", ["alice", "Ольга", "漢字", "straße"])
def test_default_colour_is_always_the_same_for_a_name(name: str) -> None:
    """The colour belongs to the name, in whatever case or form it is written."""
    forms = [name, name.upper(), name.swapcase(), unicodedata.normalize("NFD", name)]

    assert {default_color(form) for form in forms} == {default_color(name)}


def test_default_colour_is_the_same_in_every_process() -> None:
    """The choice does not depend on how Python hashes strings that day."""
    assert [default_color(name) for name in ("alice", "bob")] == ["cyan", "green"]


@unhurried
@given(st.text())
def test_default_colour_is_a_colour_but_black_and_white(name: str) -> None:
    """Every name, even one that would be refused, has a colour that needs no background."""
    assert default_color(name) in COLORS[2:]


def test_default_colours_are_all_in_use() -> None:
    """A few hundred people share all ten colours."""
    assert {default_color(f"user{number}") for number in range(300)} == set(COLORS[2:])


def test_text_of_2000_characters_is_accepted() -> None:
    """The limit counts characters, not bytes, and is itself allowed."""
    text = "🙂" * TEXT_CHARS

    assert check_text(text) == text


def test_text_of_2001_characters_is_refused_naming_the_limit() -> None:
    """A text that is too long is refused, never cut, and the writer reads by how much."""
    with pytest.raises(ProtocolError, match="at most 2000 characters and this one has 2001") as caught:
        check_text("x" * 2_001)
    assert caught.value.code == "text-too-long"


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


# -------------------------------------------------------------------------------------------------------- parse_command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("hello", Say("hello")),
        (" /exit", Say(" /exit")),
        ("  two  spaces ", Say("  two  spaces ")),
        ("//x", Say("/x")),
        ("//", Say("/")),
        ("///x", Say("//x")),
        ("GET / HTTP/1.1", Say("GET / HTTP/1.1")),
        ("/name alice", Name("alice")),
        ("/NAME alice", Name("alice")),
        ("/name alice light blue", Name("alice", "light blue")),
        ("/name   alice   red  ", Name("alice", "red")),
        ("/color light blue", Color("light blue")),
        ("/me waves  twice ", Me("waves  twice ")),
        ("/me  waves", Me(" waves")),
        ("/join  ops ", Join("ops")),
        ("/leave", Leave()),
        ("/leave  ", Leave()),
        ("/leave now", Leave()),
        ("/List", List()),
        ("/who", Who()),
        ("/who ops", Who("ops")),
        ("/msg  bob hi there", Msg("bob", "hi there")),
        ("/msg bob  hi", Msg("bob", " hi")),
        ("/history", History()),
        ("/history 10", History(10)),
        ("/history  10  200 ", History(10, 200)),
        ("/help", Help()),
        ("/help join", Help("join")),
        ("/eXiT", Exit()),
        ("/quit", Exit()),
        ("/part", Leave()),
        ("/names ops", Who("ops")),
        ("/nick bob", Name("bob")),
    ],
)
def test_line_is_the_command(line: str, command: Command) -> None:
    """A line that starts with a slash is a command, in any case and with any spaces; any other line is said."""
    assert parse_command(line) == command


@pytest.mark.parametrize(("line", "meant"), [("/jion ops", "/join"), ("/whoo", "/who"), ("/nmae x", "/name")])
def test_unknown_command_suggests_the_nearest(line: str, meant: str) -> None:
    """A slip of the finger is answered with what was probably meant."""
    assert f"did you mean {meant}?" in refusal(line).text


@pytest.mark.parametrize("word", FOREIGN_WORDS)
def test_what_other_programs_call_a_command_is_a_hint_and_no_command(word: str) -> None:
    """Whoever comes from there learns our word, in each table that has it; none is a word of its own."""
    meant = FOREIGN_WORDS[word]
    tables = [table for table in (COMMANDS, CLIENT_COMMANDS) if meant in table and word not in table]

    assert tables
    assert all(word != row.word and word not in row.aliases for row in COMMANDS.values())
    for table in tables:
        with pytest.raises(ProtocolError, match=rf"did you mean /{meant}\?"):
            parse_command(f"/{word} bob", table)


@pytest.mark.parametrize("line", ["/", "/ join", "/xyzzy", "/?", "/" + "x" * 10_000])
def test_unknown_command_is_refused_with_the_way_out(line: str) -> None:
    """Whatever is typed, the answer is short and names /help and the doubled slash."""
    error = refusal(line)

    assert error.code == "unknown-command"
    assert error.text.endswith("/help lists the commands, and //text sends /text")
    assert len(error.text) < 200


@pytest.mark.parametrize(
    "line", ["/name", "/name ", "/color", "/me", "/me ", "/join", "/join   ", "/msg", "/msg bob", "/msg bob ", "/ping"]
)
def test_missing_argument_shows_the_usage(line: str) -> None:
    """A command without what it needs is answered with how it is typed."""
    error = refusal(line)

    assert (error.code, error.text) == ("missing-argument", f"usage: {find_command(line.split()[0]).usage}")


@pytest.mark.parametrize(
    "argument", ["x", "-1", "+1", "1.5", "0x10", "1_000", "١٢", "²", "1" * 16, "10 x", "10 -1", "10 20 30"]
)
def test_argument_that_is_no_number_is_refused(argument: str) -> None:
    """Only plain digits, as many as any client can hold, are a number."""
    error = refusal(f"/history {argument}")

    assert error.code == "argument-invalid"
    assert "is not a whole number" in error.text


@pytest.mark.parametrize("word", ["join", "/join", "JOIN", "/Join"])
def test_command_is_found_as_people_call_it(word: str) -> None:
    """The slash and the case do not matter."""
    assert find_command(word) is COMMANDS["join"]


OTHER_COMMANDS = command_table(
    CommandRow("nick", Name, "NAME", "change my name"), CommandRow("room", Join, "ROOM", "go there")
)


@pytest.mark.parametrize(
    ("line", "command"), [("/nick bob", Name("bob")), ("/Room ops", Join("ops")), ("hi", Say("hi")), ("//x", Say("/x"))]
)
def test_line_is_read_by_another_table(line: str, command: Command) -> None:
    """Who types other words than the wire's has them in a table of the same kind, and all else is the same."""
    assert parse_command(line, OTHER_COMMANDS) == command


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/nick", "usage: /nick NAME"),
        ("/join ops", "there is no command /join; /help lists the commands, and //text sends /text"),
        ("/rom ops", "there is no command /rom; did you mean /room? /help lists the commands, and //text sends /text"),
    ],
)
def test_refusal_speaks_of_the_table_given(line: str, text: str) -> None:
    """Nobody is told of a command that another table has."""
    with pytest.raises(ProtocolError) as caught:
        parse_command(line, OTHER_COMMANDS)

    assert caught.value.text == text


def test_word_of_another_table_stays_off_the_wire() -> None:
    """Whatever a command is called by a person, it is sent under its own word."""
    assert parse_command("/nick bob", OTHER_COMMANDS).encode() == b"/name bob\n"


@unhurried
@given(
    st.one_of(
        texts.filter(bool),
        texts.map(lambda text: "/" + text),
        st.builds("/{} {}".format, st.sampled_from(list(COMMANDS)), texts),
    )
)
def test_any_line_is_a_command_or_refused(line: str) -> None:
    """Nothing that a client sends raises anything but ProtocolError."""
    try:
        command = parse_command(line)
    except ProtocolError as error:
        assert error.code in {"unknown-command", "missing-argument", "argument-invalid"}
    else:
        assert isinstance(command, Command)


@unhurried
@given(cut(st.one_of(stream_bytes, st.lists(st.one_of(rows, texts)).map(lambda lines: "\n".join(lines).encode()))))
def test_what_a_client_sends_is_never_a_line_of_the_server(data: tuple[bytes, list[bytes]]) -> None:
    """Whatever bytes come, in whatever pieces, all that is said or done of them stays inside one line of its room."""
    for line in lines_of(LineDecoder(), data[1]):
        assert isinstance(line, bytes)
        text = decode_line(line)
        for event in (
            Said("lobby", 1, 0, "bob", "red", text),
            PrivateMessage(0, "bob", "red", "al", text),
            Notice(text),
        ):
            sent = event.encode()
            assert LineDecoder().feed(sent) == [sent[:-1]]
            assert parse_event(decode_line(sent[:-1])) == event


@unhurried
@given(words | any_text)
def test_a_name_or_room_is_one_field_that_shows(text: str) -> None:
    """What is accepted can be neither two fields, nor an escape, nor nothing to see."""
    for check in (check_name, check_room):
        with contextlib.suppress(ProtocolError):
            word = check(text)
            assert word.isprintable()
            assert word == clean(word)
            assert word[0].isalnum()
            assert not set(word) & set(" /:\x1b[]{}<>")
            assert parse_event(f"/renamed lobby 0 {word} red {word}") == Renamed("lobby", 0, word, "red", word)


# ---------------------------------------------------------------------------------------------------------- parse_event


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


# ------------------------------------------------------------------------------------------------ module and its tables


def usages_under(heading: str) -> list[str]:
    """Return the left column of the docstring's table under `heading`."""
    table = str(protocol.__doc__).split(f"{heading}\n")[1].split("\n\n")[0]
    return [re.split(r"\s{2,}", line.strip())[0] for line in table.splitlines()]


def test_docstring_lists_every_command() -> None:
    """The table of the docstring and the one that commands are parsed by name the same usages, in the same order."""
    usages = [usage for usage in usages_under("From the client") if usage != "TEXT"]

    assert usages == [row.usage for row in COMMANDS.values()]


def test_docstring_lists_every_event() -> None:
    """The table of the docstring and the one that events are parsed by name the same words, in the same order."""
    words_told = [usage.split()[0] for usage in usages_under("From the server")]

    assert words_told == [f"/{word}" for word in EVENTS]


@pytest.mark.parametrize("usage", usages_under("From the server"))
def test_docstring_lists_every_field_of_an_event(usage: str) -> None:
    """An event has as many fields as its row of the docstring."""
    word, *fields = usage.split()

    assert len(re.findall(r"\b[A-Z]+\b", " ".join(fields))) == len(LAYOUTS[EVENTS[word[1:]]].names)


@pytest.mark.parametrize("word", COMMANDS)
def test_usage_names_each_field_of_a_command(word: str) -> None:
    """A usage shows in brackets what may be left out, and nothing else."""
    row = COMMANDS[word]
    needed = LAYOUTS[row.kind].defaults.count(MISSING)

    assert len(re.findall(r"(?<![\[|])\b[A-Z]+\b", row.arguments)) == needed


@pytest.mark.parametrize(
    "kind", [kind for kind, layout in LAYOUTS.items() if layout.names], ids=lambda kind: kind.__name__
)
def test_line_cannot_be_changed(kind: type[Line]) -> None:
    """Lines are shared between threads, so none of them changes."""
    layout = LAYOUTS[kind]
    line = kind(*(type_() for type_ in layout.types))

    with pytest.raises(FrozenInstanceError):
        setattr(line, layout.names[0], "changed")
