"""A chat server that kills itself at a step of a post: `python3 -m testing.crashing_server POINT TIMES OPTIONS…`.

The points exist only here: this module wraps the server's methods, and the TIMES-th call of one sends SIGKILL.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from hubbub.server import cli as chat_server
from hubbub.server.delivery.batch_writer import BatchWriter
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.delivery.fanout import Fanout
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.session import Session

# The method of each point, and whether the server dies after it (or before it).
POINTS: dict[str, tuple[type, str, bool]] = {
    "received": (Session, "_execute_line", False),
    "queued": (Delivery, "submit_posts", True),
    "numbered": (BatchWriter, "_prepare", True),
    "before the commit": (SqliteJournal, "append", False),
    "stored": (SqliteJournal, "append", True),
    "sent": (Fanout, "flush_all", True),
    "before the acknowledgement": (Fanout, "send_first", False),
    "acknowledged": (Fanout, "send_first", True),
}


def arm(point: str, times: int) -> None:
    """Make the process kill itself at the `times`-th pass of `point`."""
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
