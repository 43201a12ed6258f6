"""What the tests of the protocol share: strategies for lines and their fields, and small helpers."""

import re
from dataclasses import MISSING
from typing import Any

from hypothesis import settings, strategies as st

from hubbub import protocol
from hubbub.protocol import (
    LAYOUTS,
    Command,
    Event,
    Layout,
    LineDecoder,
    LineTooLongError,
    clean,
)
from hubbub.protocol.validation import NUMBER_DIGITS

# A busy machine is no failure, and 50 examples for each kind of line are enough: there are many kinds.
unhurried = settings(deadline=None)
few = settings(deadline=None, max_examples=50)
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


stream_bytes = st.lists(
    st.one_of(st.binary(max_size=6), st.sampled_from([b"\n", b"\r\n", b"\r", b"abcdefgh", "é漢🙂".encode()]))
).map(b"".join)
UNSAFE_SAMPLES = ["\x00", "\x1b", "\x07", "\x7f", "\x9b", "\u202e", "\u2067"]


def usages_under(heading: str) -> list[str]:
    """Return the left column of the docstring's table under `heading`."""
    table = str(protocol.__doc__).split(f"{heading}\n")[1].split("\n\n")[0]
    return [re.split(r"\s{2,}", line.strip())[0] for line in table.splitlines()]
