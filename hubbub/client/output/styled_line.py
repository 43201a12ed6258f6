"""A line for people, before it has colours and a width: pieces of text, each with the name of its style."""

from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """A piece of text; `style` is one of `color.COLORS` or `color.STYLES`, or empty for none."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class StyledLine:
    """One line: `prefix` says when and who, `body` what. Where it is wrapped, the body hangs behind the prefix."""

    prefix: tuple[Span, ...] = ()
    body: tuple[Span, ...] = ()

    @property
    def text(self) -> str:
        """The line without styles."""
        return "".join(span.text for span in (*self.prefix, *self.body))
