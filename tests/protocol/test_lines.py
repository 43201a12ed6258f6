"""hubbub.protocol.lines: bytes become lines, lines become text, and text becomes safe."""

import unicodedata

import pytest
from hypothesis import example, given, strategies as st

from hubbub.protocol import (
    LINE_BYTES,
    Join,
    LineDecoder,
    LineTooLongError,
    Name,
    Say,
    clean,
    decode_line,
    decode_lines,
    parse_command,
)
from tests.protocol.strategies import UNSAFE_SAMPLES, any_text, cut, lines_of, stream_bytes, unhurried


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


@pytest.mark.parametrize("char", UNSAFE_SAMPLES, ids=ascii)
def test_unsafe_character_in_a_line_is_gone_from_text_name_and_room(char: str) -> None:
    """What the border lets in holds none of them, wherever they stood."""
    lines = [f"hi{char} bob", f"/name al{char}ice", f"/join o{char}ps"]
    parsed = [parse_command(decode_line(line.encode())) for line in lines]

    assert parsed == [Say("hi bob"), Name("alice"), Join("ops")]
