"""What the scenes of the load generator have in common: the job, and measuring the crowd and the server's process."""

import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.load_clients import Client, Crowd
from testing.certificates import unverified_context

JOIN_SECONDS = 60.0  # for everybody to be in; who takes longer cannot play the scene
REDIS = "redis-server"
LULL_SECONDS = 0.3  # of quiet before the memory is looked at

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A scene, the server, and for how long."""

    kind: str
    address: tuple[str, int]
    pid: int
    dialect: str
    in_flight: int
    seconds: float
    clients: int
    rooms: int = 1
    flooders: int = 0
    per_second: int = 0
    prod: str = ""
    stalled: int = 0
    churn: int = 0
    tls: bool = False
    own_clock: bool = False

    def context(self) -> ssl.SSLContext | None:
        """Return a context that trusts anybody, None without TLS."""
        return unverified_context() if self.tls else None


class Usage:
    """What the server's process, and those that it started, have used."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def _all(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return the CPU time so far."""
        times = [process.cpu_times() for process in self._all()]
        return sum(each.user + each.system for each in times)

    def redis_seconds(self) -> float | None:
        """Return the CPU time of a Redis among them, None where there is none."""
        redis = [process for process in self._all() if process.name() == REDIS]
        return sum(process.cpu_times().user + process.cpu_times().system for process in redis) if redis else None

    def threads(self) -> int:
        """Return how many threads there are."""
        return sum(process.num_threads() for process in self._all())

    def descriptors(self) -> int:
        """Return how many descriptors are open."""
        return sum(process.num_fds() for process in self._all())

    def resident_bytes(self) -> int:
        """Return the memory that it holds."""
        return sum(process.memory_info().rss for process in self._all())


class Window:
    """A stretch of time in which is counted, of a crowd and of the server."""

    def __init__(self, crowd: Crowd, usage: Usage) -> None:
        self._crowd, self._usage = crowd, usage
        self._redis = usage.redis_seconds()
        self._start = self._look()

    def _look(self) -> tuple[float, int, int, float, float]:
        crowd = self._crowd
        return time.monotonic(), crowd.messages, crowd.bytes, self._usage.cpu_seconds(), time.process_time()

    def result(self, hearers: float) -> Result:
        """Return the rates up to now, where each message arrives at so many `hearers`."""
        seconds, messages, size, cpu, own = (now - then for now, then in zip(self._look(), self._start, strict=True))
        redis = self._usage.redis_seconds()
        return {
            "redis_us_per_message": None
            if redis is None or self._redis is None or not messages
            else (redis - self._redis) / (messages / hearers) * 1e6,
            "messages_per_second": messages / hearers / seconds,
            "deliveries_per_second": messages / seconds,
            "bytes_per_second": size / seconds,
            "cpu_us_per_delivery": cpu / messages * 1e6 if messages else None,
            "cpu_share": cpu / seconds,
            "load_cpu_share": own / seconds,
        }


class MissingError(Exception):
    """Not everybody came in."""


def enter(crowd: Crowd, job: Job, usage: Usage) -> Result:
    """Bring everybody in; return how long that took and what memory it cost. Raises MissingError."""
    before = usage.resident_bytes()
    seconds = crowd.enter(job.clients, job.rooms, job.in_flight, JOIN_SECONDS)
    if missing := job.clients - len(crowd.inside):
        raise MissingError(f"{missing} of {job.clients} not in after {seconds:.0f} s. {crowd.complaint}".strip())
    settle(crowd, LULL_SECONDS)
    return {"join_seconds": seconds, "memory_bytes_per_client": (usage.resident_bytes() - before) / job.clients}


def settle(crowd: Crowd, seconds: float) -> None:
    """Take what arrives, until nothing has for so long; but no longer than a minute."""
    end = time.monotonic() + JOIN_SECONDS
    quiet_at = time.monotonic() + seconds
    while time.monotonic() < min(quiet_at, end):
        before = crowd.bytes
        crowd.pump(seconds / 10)
        if crowd.bytes != before:
            quiet_at = time.monotonic() + seconds


def by_room(crowd: Crowd, job: Job) -> list[list[Client]]:
    """Return who is in each room."""
    rooms: list[list[Client]] = [[] for _ in range(job.rooms)]
    for client in crowd.inside:
        rooms[client.room].append(client)
    return rooms


def hearers(job: Job) -> float:
    """Return how many clients read a message: IRC does not send it to who said it."""
    return job.clients / job.rooms - job.stalled - (job.dialect == "irc")


def losses(crowd: Crowd) -> Result:
    """Return whom the server threw out, and what it said."""
    return {"dropped": crowd.dropped, "complaint": crowd.complaint}


QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def delays(nanoseconds: Sequence[int]) -> Result:
    """Return the quantiles of delays in ms: the smallest value that so many of all do not exceed."""
    if not nanoseconds:
        return {}
    ordered = sorted(nanoseconds)
    return {
        f"delay_{name}_ms": ordered[max(0, -int(-share * len(ordered) // 1) - 1)] / 1e6
        for name, share in QUANTILES.items()
    }
