"""A line for the user before it has colours and a width: pieces of text, each with the name of its style."""

from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """A piece of text; `style` is a key of `color.COLORS` or `color.STYLES`, or empty for none."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class StyledLine:
    """One line: time and sender in `prefix`, the message in `body`. Where it wraps, the prefix sets the indent."""

    prefix: tuple[Span, ...] = ()
    body: tuple[Span, ...] = ()

    @property
    def text(self) -> str:
        """The line without styles."""
        return "".join(span.text for span in (*self.prefix, *self.body))
