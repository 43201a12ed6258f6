"""The status around the input line: the room, the connection, and the unsent lines. Only text."""

from dataclasses import dataclass

from hubbub.client.output.render import count_people

UNSENT_ROWS = 5  # of unsent lines that are shown; the others are counted
DELAY_SECONDS = 0.5  # from which the server's delay is shown

CONNECTED = "connected"
RECONNECTING = "reconnecting"
NOT_SIGNED_IN = "not signed in: type /name NAME"


@dataclass(frozen=True, slots=True)
class Status:
    """The content of the status line; `unsent` are the first UNSENT_ROWS of `unsent_count` lines."""

    room: str
    people: int | None  # in the room; None in a room too large for the server to say
    connection: str  # its state
    unsent: tuple[str, ...]
    unsent_count: int
    delay: float = 0.0  # seconds that the server took for its last answer, or has taken so far for the next

    @property
    def prompt(self) -> str:
        """The prompt of the input line."""
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
        """The rows above the input line, with the unsent lines."""
        rows = [f"… {line}" for line in self.unsent]
        more = self.unsent_count - len(self.unsent)
        return [*rows, f"… and {more} more"] if more else rows


def reconnecting_in(seconds: int) -> str:
    """Return the state of a connection with `seconds` to the next attempt."""
    return f"{RECONNECTING} in {seconds} s" if seconds > 0 else RECONNECTING
