"""What a console is given to show: an event, and what it means to the person. Made by the session, read by consoles."""

from dataclasses import dataclass
from enum import Enum

from hubbub.protocol import Event


class Age(Enum):
    """When it happened, as the person sees it."""

    LIVE = "live"  # now
    MISSED = "missed"  # while the connection was lost
    PAST = "past"  # before the person came; or it is shown again, for that was asked for


@dataclass(frozen=True, slots=True)
class Notification:
    """An event that is to be shown."""

    event: Event
    me: str = ""  # the person's own name when it came; empty before there is one
    age: Age = Age.LIVE
    mention: bool = False  # it says the person's name, or is told to the person alone
    alert: bool = False  # the person wants to be called to the terminal for it; only ever true for what is live
