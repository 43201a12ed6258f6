"""Wait for a condition, with a deadline."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]  # of the repository
TIMEOUT_SECONDS = 10.0  # for anything that takes a moment, on a busy machine


def eventually(condition: Callable[[], bool]) -> bool:
    """Return whether `condition` becomes true within TIMEOUT_SECONDS."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.01)
    return True
