"""What is fuzzed: each target takes any bytes and asserts what must hold for all of them."""

import contextlib
import json
from collections.abc import Callable

from hubbub.client.output.json_lines import to_json
from hubbub.client.output.render import render
from hubbub.client.state.notification import Notification
from hubbub.client.terminal.wrap import GRAPHEME_COLUMNS, text_width, wrap
from hubbub.protocol import (
    LineDecoder,
    LineTooLongError,
    ProtocolError,
    check_color,
    check_name,
    check_room,
    clean,
    decode_line,
    decode_lines,
    parse_command,
    parse_event,
    same_key,
)
from hubbub.server.access.confusables import skeletons_of

LIMIT = 64  # bytes of a line, so that short inputs reach it


def decoder(data: bytes) -> None:
    """However the bytes are cut, the same lines come out, together as one by one, and little is held."""
    size, data = (data[0] + 1, data[1:]) if data else (1, data)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    lines, too_long = _decoded([data])
    assert _decoded(pieces) == (lines, too_long)
    assert decode_lines(lines) == [decode_line(line) for line in lines]


def _decoded(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    lines: list[bytes] = []
    line_decoder = LineDecoder(LIMIT)
    for piece in pieces:
        try:
            lines += line_decoder.feed(piece)
        except LineTooLongError as error:
            return lines + error.lines, True
        assert line_decoder.unfinished <= LIMIT
    return lines, False


def command(data: bytes) -> None:
    """Hold that a line is a command or a ProtocolError; what a command is written as is read as the same one."""
    text = decode_line(data)
    if not text:
        return
    try:
        read = parse_command(text)
    except ProtocolError:
        return
    assert parse_command(decode_line(read.encode().removesuffix(b"\n"))) == read


def text(data: bytes) -> None:
    """Nothing of what is cleaned is left, and a word that is allowed stays as it is."""
    cleaned = decode_line(data)
    assert clean(cleaned) == cleaned
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in cleaned)
    for check in (check_name, check_room):
        with contextlib.suppress(ProtocolError):
            word = check(cleaned)
            assert check(word) == word
            assert same_key(same_key(word)) == same_key(word)
            assert skeletons_of(word)
    with contextlib.suppress(ProtocolError):
        check_color(cleaned)


def event(data: bytes) -> None:
    """Hold that a line is an event or a ProtocolError, and an event is shown cleaned, in rows that fit."""
    columns, data = (data[0], data[1:]) if data else (80, data)
    try:
        read = parse_event(decode_line(data))
    except ProtocolError:
        return
    assert parse_event(decode_line(read.encode().removesuffix(b"\n"))) == read
    if (told := to_json(Notification(read))) is not None:
        json.loads(told)
    row = render(read, "alice")
    if row is None:
        return
    assert clean(row.text) == row.text
    for spans in wrap(row, columns):
        assert text_width("".join(span.text for span in spans)) <= max(columns, GRAPHEME_COLUMNS)


TARGETS: dict[str, Callable[[bytes], None]] = {target.__name__: target for target in (decoder, command, text, event)}
