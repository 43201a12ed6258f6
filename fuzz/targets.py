"""The fuzz targets: each takes any bytes and asserts what must hold for all of them."""

import contextlib
import json
from collections.abc import Callable

from hubbub.client.output.json_lines import to_json
from hubbub.client.output.render import render
from hubbub.client.state.notification import Notification
from hubbub.client.terminal.graphemes import GRAPHEME_COLUMNS, text_width
from hubbub.client.terminal.wrap import wrap
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
    fold_name,
    parse_command,
    parse_event,
)
from hubbub.server.access.confusables import skeletons_of

LIMIT = 64  # bytes of a line; small, so that short inputs reach it


def decoder(data: bytes) -> None:
    """Assert that the decoder returns the same lines however the bytes are split, and holds at most LIMIT bytes."""
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
        assert line_decoder.buffered_bytes <= LIMIT
    return lines, False


def command(data: bytes) -> None:
    """Assert that a line is a command or a ProtocolError, and that encoding and parsing a command are inverse."""
    text = decode_line(data)
    if not text:
        return
    try:
        parsed = parse_command(text)
    except ProtocolError:
        return
    assert parse_command(decode_line(parsed.encode().removesuffix(b"\n"))) == parsed


def text(data: bytes) -> None:
    """Assert that cleaning is complete and idempotent, and that an allowed word stays unchanged."""
    cleaned = decode_line(data)
    assert clean(cleaned) == cleaned
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in cleaned)
    for check in (check_name, check_room):
        with contextlib.suppress(ProtocolError):
            word = check(cleaned)
            assert check(word) == word
            assert fold_name(fold_name(word)) == fold_name(word)
            assert skeletons_of(word)
    with contextlib.suppress(ProtocolError):
        check_color(cleaned)


def event(data: bytes) -> None:
    """Assert that a line is an event or a ProtocolError, and that an event is rendered clean, in rows that fit."""
    columns, data = (data[0], data[1:]) if data else (80, data)
    try:
        parsed = parse_event(decode_line(data))
    except ProtocolError:
        return
    assert parse_event(decode_line(parsed.encode().removesuffix(b"\n"))) == parsed
    if (line := to_json(Notification(parsed))) is not None:
        json.loads(line)
    row = render(parsed, "alice")
    if row is None:
        return
    assert clean(row.text) == row.text
    for spans in wrap(row, columns):
        assert text_width("".join(span.text for span in spans)) <= max(columns, GRAPHEME_COLUMNS)


TARGETS: dict[str, Callable[[bytes], None]] = {target.__name__: target for target in (decoder, command, text, event)}
