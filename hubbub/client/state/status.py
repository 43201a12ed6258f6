"""What stands around the input line: where we are, whether we are connected, and what is not sent yet. Only text."""

from dataclasses import dataclass

from hubbub.client.output.render import count_people

UNSENT_ROWS = 5  # shown of the lines that are not sent; the others are counted
DELAY_SECONDS = 0.5  # from which on the server's delay is worth telling

CONNECTED = "connected"
RECONNECTING = "reconnecting"
NOT_SIGNED_IN = "not signed in: type /name NAME"


@dataclass(frozen=True, slots=True)
class Status:
    """What the person should know; `unsent` are the first UNSENT_ROWS of `unsent_count` lines."""

    room: str
    people: int | None  # in the room; None where the server does not tell
    connection: str  # what there is of a connection
    unsent: tuple[str, ...]
    unsent_count: int
    delay: float = 0.0  # seconds that the server took to answer last, or has not answered for

    @property
    def prompt(self) -> str:
        """What stands before the line being typed."""
        return f"{self.room}> "

    def line(self, mentions: int = 0) -> str:
        """Return the status line: `lobby · 3 people · connected · 620 ms · 1 mention · 2 unsent`."""
        parts = [self.room]
        if self.people is not None:
            parts.append(count_people(self.people))
        parts.append(self.connection)
        if self.delay > DELAY_SECONDS:
            parts.append(f"{self.delay:.1f} s" if self.delay >= 1 else f"{self.delay * 1000:.0f} ms")
        if mentions:
            parts.append("1 mention" if mentions == 1 else f"{mentions} mentions")
        if self.unsent_count:
            parts.append(f"{self.unsent_count} unsent")
        return " · ".join(parts)

    @property
    def unsent_lines(self) -> list[str]:
        """The lines that are not sent, for above the input line."""
        rows = [f"… {line}" for line in self.unsent]
        more = self.unsent_count - len(self.unsent)
        return [*rows, f"… and {more} more"] if more else rows


def reconnecting_in(seconds: int) -> str:
    """Return what there is of a connection that is tried again in `seconds`."""
    return f"{RECONNECTING} in {seconds} s" if seconds > 0 else RECONNECTING
