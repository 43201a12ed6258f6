"""The chat server, killing itself at a point on a line's way: `python3 -m tests.faulty_server POINT TIMES OPTIONS…`.

The points exist only here: the server's own steps are wrapped, and the TIMES-th time that one is reached it is SIGKILL.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import chat_server
from server.delivery import Delivery
from server.sender import Sender
from server.session import Session
from server.sqlite_journal import SqliteJournal

# Each step, and whether it ends just before it or just after it.
POINTS: dict[str, tuple[type, str, bool]] = {
    "received": (Session, "_take_line", False),
    "queued": (Delivery, "say", True),
    "numbered": (Delivery, "_prepare", True),
    "before the commit": (SqliteJournal, "append", False),
    "kept": (SqliteJournal, "append", True),
    "sent": (Sender, "flush_all", True),
    "before the acknowledgement": (Sender, "interject", False),
    "acknowledged": (Sender, "interject", True),
}


def arm(point: str, times: int) -> None:
    """Make the `times`-th pass of `point` the last thing that this process does."""
    owner, name, after = POINTS[point]
    step: Callable[..., Any] = getattr(owner, name)
    left = [times]

    def faulty(*arguments: Any) -> Any:
        if not after:
            count_down()
        result = step(*arguments)
        if after:
            count_down()
        return result

    def count_down() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, faulty)


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.exit(chat_server.main(sys.argv[3:]))
