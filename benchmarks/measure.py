"""Shared parts of the load generator's scenes: the job, and measuring the load clients and the server's process."""

import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.load_clients import LoadClient, LoadClients
from testing.certificates import unverified_context

JOIN_SECONDS = 60.0  # for all clients to join; a server that takes longer cannot run the scene
REDIS = "redis-server"
QUIET_SECONDS = 0.3  # without traffic before the memory is measured
IDLE_SECONDS = 0.1  # the server has finished its work when it used no CPU for that long

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A scene, the server, and the time to measure."""

    kind: str
    address: tuple[str, int]
    pid: int
    wire_format: str
    max_pending: int
    seconds: float
    clients: int
    rooms: int = 1
    flooders: int = 0
    per_second: int = 0
    keep_awake: str = ""
    stalled: int = 0
    churn: int = 0
    tls: bool = False
    own_clock: bool = False

    def context(self) -> ssl.SSLContext | None:
        """Return a TLS context that checks no certificate, None without TLS."""
        return unverified_context() if self.tls else None


class Usage:
    """The resources that the server's process and its children use."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def _processes(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return the CPU time so far."""
        times = [process.cpu_times() for process in self._processes()]
        return sum(each.user + each.system for each in times)

    def redis_seconds(self) -> float | None:
        """Return the CPU time of a Redis among the processes, None if there is none."""
        redis = [process.cpu_times() for process in self._processes() if process.name() == REDIS]
        return sum(each.user + each.system for each in redis) if redis else None

    def threads(self) -> int:
        """Return the number of threads."""
        return sum(process.num_threads() for process in self._processes())

    def descriptors(self) -> int:
        """Return the number of open descriptors."""
        return sum(process.num_fds() for process in self._processes())

    def resident_bytes(self) -> int:
        """Return the resident memory."""
        return sum(process.memory_info().rss for process in self._processes())


class Window:
    """A period of measurement, which starts when this is made."""

    def __init__(self, clients: LoadClients, usage: Usage) -> None:
        self._clients, self._usage = clients, usage
        self._redis = usage.redis_seconds()
        self._start = self._sample()

    def _sample(self) -> tuple[float, int, int, float, float]:
        clients = self._clients
        return time.monotonic(), clients.messages, clients.bytes, self._usage.cpu_seconds(), time.process_time()

    def result(self, recipients: float) -> Result:
        """Return the rates up to now; each message arrives at `recipients` clients."""
        seconds, messages, size, cpu, own = (now - then for now, then in zip(self._sample(), self._start, strict=True))
        redis = self._usage.redis_seconds()
        return {
            "redis_us_per_message": None
            if redis is None or self._redis is None or not messages
            else (redis - self._redis) / (messages / recipients) * 1e6,
            "messages_per_second": messages / recipients / seconds,
            "deliveries_per_second": messages / seconds,
            "bytes_per_second": size / seconds,
            "cpu_us_per_delivery": cpu / messages * 1e6 if messages else None,
            "cpu_share": cpu / seconds,
            "load_cpu_share": own / seconds,
        }


class MissingError(Exception):
    """Some clients did not join, or some lines did not arrive."""


def join_all(clients: LoadClients, job: Job, usage: Usage) -> Result:
    """Connect all clients; return the time and the memory that it took. Raises MissingError."""
    before = usage.resident_bytes()
    seconds = clients.join_all(job.clients, job.rooms, job.max_pending, JOIN_SECONDS)
    if missing := job.clients - len(clients.joined):
        raise MissingError(f"{missing} of {job.clients} not in after {seconds:.0f} s. {clients.refusal}".strip())
    wait_until_quiet(clients, QUIET_SECONDS)
    return {"join_seconds": seconds, "memory_bytes_per_client": (usage.resident_bytes() - before) / job.clients}


def wait_until_quiet(clients: LoadClients, seconds: float) -> None:
    """Read until nothing has arrived for `seconds`, but no longer than JOIN_SECONDS."""
    end = time.monotonic() + JOIN_SECONDS
    quiet_at = time.monotonic() + seconds
    while time.monotonic() < min(quiet_at, end):
        before = clients.bytes
        clients.poll(seconds / 10)
        if clients.bytes != before:
            quiet_at = time.monotonic() + seconds


def wait_until_idle(usage: Usage, seconds: float = IDLE_SECONDS) -> None:
    """Wait until the server uses no CPU for `seconds`, but no longer than JOIN_SECONDS."""
    end = time.monotonic() + JOIN_SECONDS
    used = -1.0
    while (now := usage.cpu_seconds()) != used and time.monotonic() < end:
        used = now
        time.sleep(seconds)


def group_by_room(clients: LoadClients, job: Job) -> list[list[LoadClient]]:
    """Return the clients of each room."""
    rooms: list[list[LoadClient]] = [[] for _ in range(job.rooms)]
    for client in clients.joined:
        rooms[client.room].append(client)
    return rooms


def recipients_per_message(job: Job) -> float:
    """Return how many clients read a message: IRC does not send it back to its sender."""
    return job.clients / job.rooms - job.stalled - (job.wire_format == "irc")


def drops(clients: LoadClients) -> Result:
    """Return how many clients the server disconnected, and its first error."""
    return {"dropped": clients.dropped, "refusal": clients.refusal}


QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def delay_quantiles(nanoseconds: Sequence[int]) -> Result:
    """Return the quantiles of delays in ms: the smallest delay that the given share of all does not exceed."""
    if not nanoseconds:
        return {}
    ordered = sorted(nanoseconds)
    return {
        f"delay_{name}_ms": ordered[max(0, -int(-share * len(ordered) // 1) - 1)] / 1e6
        for name, share in QUANTILES.items()
    }
