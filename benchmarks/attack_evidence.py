"""Evidence that an attack reached the server, sampled from outside its process."""

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

Evidence = Counter[str]
"""How often something was seen: lines that the server sent to the attacker, by their first word, an error by its code;
`alerts` of TLS; lines of the server's log, by their first word; the most `threads` and `lagging` members at a time."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The evidence that proves an attack: at least `least` of what is counted under `what`."""

    what: str
    least: int

    def is_reached(self, evidence: Evidence) -> bool:
        """Return whether the evidence is enough."""
        return evidence[self.what] >= self.least

    def describe(self, rounds: Iterable[Evidence]) -> str:
        """Return how often it was seen, the median of the rounds."""
        return f"{statistics.median(evidence[self.what] for evidence in rounds):,.0f} {self.what}"


class ServerMonitor:
    """Samples the process of a server from outside; Linux only."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        folder = Path(f"/proc/{pid}/fd")
        selectors = [
            fd for fd in folder.iterdir() if fd.is_symlink() and fd.readlink().name == "anon_inode:[eventpoll]"
        ]
        self._selectors = [Path(f"/proc/{pid}/fdinfo/{selector.name}") for selector in selectors]
        self._threads = self._process.num_threads()
        self._watched = self._count_watched()
        self.most_bytes = 0
        self.most: Evidence = Counter()

    @property
    def threads(self) -> int:
        """The number of threads beyond those at the start."""
        return self._process.num_threads() - self._threads

    def sample(self) -> None:
        """Update the maxima with the current values."""
        self.most_bytes = max(self.most_bytes, self._process.memory_info().rss)
        # The delivery thread's selector watches exactly the members that are lagging.
        self.most |= Counter(threads=self.threads, lagging=self._count_watched() - self._watched)

    def _count_watched(self) -> int:
        return sum(selector.read_text().count("tfd:") for selector in self._selectors)


def count_log_words(messages: Iterable[str]) -> Evidence:
    """Count messages of a log by their first word."""
    return Counter(f"log {message.split(' ', 1)[0]}" for message in messages)


def read_log(folder: Path) -> list[str]:
    """Return the messages of a server's log, of its rotated files too."""
    lines = [line for path in folder.glob("chat_server*.log") for line in path.read_text("utf-8").splitlines()]
    return [parts[3] for line in lines if len(parts := line.split(None, 3)) == 4]
