"""A notification for the user interface: an event, and what it means to the user."""

from dataclasses import dataclass
from enum import Enum

from hubbub.protocol import Event


class Age(Enum):
    """The age of an event, as the user sees it."""

    LIVE = "live"  # now
    MISSED = "missed"  # while the connection was lost
    PAST = "past"  # before the user joined, or shown again on request


@dataclass(frozen=True, slots=True)
class Notification:
    """An event that is to be shown."""

    event: Event
    me: str = ""  # the user's name when it came; empty before the sign-in
    age: Age = Age.LIVE
    mention: bool = False  # it has the user's name, or is a private message
    alert: bool = False  # the terminal rings for it; only if it is live
