"""hubbub.protocol.layout: what holds for every line of the protocol."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, strategies as st

from hubbub.protocol import (
    COMMANDS,
    EVENTS,
    LAYOUTS,
    Acted,
    Line,
    LineDecoder,
    Notice,
    Say,
)
from tests.protocol.strategies import commands_of, events_of, texts, unhurried

commands = st.one_of(*(commands_of(row.kind) for row in COMMANDS.values()), texts.filter(bool).map(Say))
events = st.one_of(*(events_of(kind) for kind in EVENTS.values()))


@unhurried
@given(st.lists(st.one_of(commands, events)))
def test_lines_sent_together_arrive_as_many(lines: list[Line]) -> None:
    """Every line ends where it says and nowhere else."""
    stream = b"".join(line.encode() for line in lines)

    assert LineDecoder(limit=100_000).feed(stream) == [line.encode().removesuffix(b"\n") for line in lines]


def test_template_makes_the_same_bytes_as_encode() -> None:
    """Filling the template of a layout directly gives what encode() returns."""
    event = Acted("lobby", 1, 2, "alice", "red", "100 % sure")
    layout = LAYOUTS[Acted]

    assert (layout.template % layout.values(event)).encode() == event.encode()


def test_lone_surrogate_is_sent_as_a_question_mark() -> None:
    """Text that is not Unicode cannot break the connection of its readers."""
    assert Notice("a\ud800b").encode() == b"/notice a?b\n"


@pytest.mark.parametrize(
    "kind", [kind for kind, layout in LAYOUTS.items() if layout.names], ids=lambda kind: kind.__name__
)
def test_line_cannot_be_changed(kind: type[Line]) -> None:
    """Lines are shared between threads, so none of them changes."""
    layout = LAYOUTS[kind]
    line = kind(*(type_() for type_ in layout.types))

    with pytest.raises(FrozenInstanceError):
        setattr(line, layout.names[0], "changed")
