"""The layout of lines: a word and fields, derived from the dataclass of each event and command."""

import dataclasses
import operator
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from hubbub.protocol.errors import ProtocolError
from hubbub.protocol.lines import ENCODING_ERRORS
from hubbub.protocol.validation import ROOM_COLUMNS, is_number

Text = Annotated[str, "text"]  # a last field that users write: every space in it is preserved


class Line:
    """A line of the protocol. Its subclasses are frozen dataclasses whose fields, in order, are those on the wire."""

    __slots__ = ()

    def encode(self) -> bytes:
        """Return the line as it goes over the wire, with its end. The fields must be clean."""
        return self.encode_fields(*LAYOUTS[type(self)].values(self))

    @classmethod
    def encode_fields(cls, *values: str | int) -> bytes:
        """Return what `encode` of a line with these fields returns, without making the line."""
        return (LAYOUTS[cls].template % values).encode("utf-8", ENCODING_ERRORS)


class Event(Line):
    """A line from the server."""

    __slots__ = ()


class Command(Line):
    """A line from the client."""

    __slots__ = ()

    def encode(self) -> bytes:
        """Return the line as it goes over the wire, with its end, without trailing fields at their default."""
        layout = LAYOUTS[type(self)]
        values = list(layout.values(self))
        while values and values[-1] == layout.defaults[len(values) - 1]:
            values.pop()
        words = [f"/{layout.word}", *map(str, values)]
        return (" ".join(words) + "\n").encode("utf-8", ENCODING_ERRORS)


@dataclass(frozen=True, slots=True)
class Layout:
    """A word and the fields after it, as they go over the wire."""

    word: str
    names: tuple[str, ...]  # of the fields, in order
    types: tuple[type, ...]  # of the fields: int or str
    defaults: tuple[object, ...]  # of the fields; MISSING where a value is required
    ends_in_text: bool
    template: str  # for `%` with the fields in order
    values: Callable[[Any], tuple[str | int, ...]]  # of a line: its fields in order

    @classmethod
    def of(cls, kind: type[Line], word: str) -> "Layout":
        """Derive the layout of the dataclass `kind`."""
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # every Line with a word is a dataclass
        hints = typing.get_type_hints(kind, include_extras=True)
        names = tuple(field.name for field in fields)
        types = tuple(int if hints[name] is int else str for name in names)
        return cls(
            word=word,
            names=names,
            types=types,
            defaults=tuple(field.default for field in fields),
            ends_in_text=bool(names) and hints[names[-1]] is Text,
            template=" ".join([f"/{word}", *("%d" if type_ is int else "%s" for type_ in types)]) + "\n",
            values=_values_getter(names),
        )

    def text_of(self, line: Line) -> str:
        """Return the text that `line` ends in; empty if it has none."""
        return str(self.values(line)[-1]) if self.ends_in_text else ""

    def convert(self, fields: list[str], error_code: str) -> list[str | int]:
        """Return the fields as their types. Raises ProtocolError `error_code` for a field that is not a number."""
        values: list[str | int] = []
        for type_, field in zip(self.types, fields, strict=False):
            if type_ is str:
                values.append(field)
            elif is_number(field):
                values.append(int(field))
            else:
                raise ProtocolError(error_code, f"/{self.word}: {field[:ROOM_COLUMNS]!r} is not a whole number")
        return values


def _values_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[str | int, ...]]:
    """Return a function that returns the attributes `names` as a tuple, as `operator.attrgetter` does from two on."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda line: tuple(getattr(line, name) for name in names)


LAYOUTS: dict[type[Line], Layout] = {}  # of every event and command; events.py and commands.py fill it
