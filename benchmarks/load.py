"""The load generator, a process of its own: `python3 -m benchmarks.load JOB`, JSON in and JSON out.

It plays one scene against one server that runs, and measures: what arrives, and when, on its own side; CPU and memory
of the server's process from outside.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.crowd import Client, Crowd, TimedCrowd
from benchmarks.dialects import DIALECTS, text
from benchmarks.systems import raise_descriptor_limit

WARM_UP_SECONDS = 1.0  # not counted
JOIN_SECONDS = 60.0  # for everybody to be in; who takes longer cannot play the scene
BLOCK_LINES = 1_024  # that a flooder offers at once
PROD_SECONDS = 0.001
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

    def resident_bytes(self) -> int:
        """Return the memory that it holds."""
        return sum(process.memory_info().rss for process in self._all())


class Window:
    """A stretch of time in which is counted, of a crowd and of the server."""

    def __init__(self, crowd: Crowd, usage: Usage) -> None:
        self._crowd, self._usage = crowd, usage
        self._start = self._look()

    def _look(self) -> tuple[float, int, int, float, float]:
        crowd = self._crowd
        return time.monotonic(), crowd.messages, crowd.bytes, self._usage.cpu_seconds(), time.process_time()

    def result(self, hearers: float) -> Result:
        """Return the rates up to now, where each message arrives at so many `hearers`."""
        seconds, messages, size, cpu, own = (now - then for now, then in zip(self._look(), self._start, strict=True))
        return {
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
    """Return at how many clients a message arrives: IRC does not send it to who said it."""
    return job.clients / job.rooms - (job.dialect == "irc")


class Flood:
    """Some of each room say what they can, as fast as the server takes it; one keeps it awake, if it must be."""

    def __init__(self, crowd: Crowd, job: Job) -> None:
        self._crowd = crowd
        self._prod = job.prod.encode()
        for number, room in enumerate(by_room(crowd, job)):
            for client in room[: job.flooders]:
                crowd.flood(client, crowd.dialect.say(number, text()) * BLOCK_LINES)

    def keep(self, seconds: float) -> None:
        """Go on for so long."""
        end = time.monotonic() + seconds
        prodded = 0.0
        while (now := time.monotonic()) < end:
            if self._prod and now >= prodded + PROD_SECONDS:
                prodded = now
                self._crowd.say(self._crowd.inside[-1], self._prod)
            self._crowd.pump(PROD_SECONDS if self._prod else end - now)


def flood(job: Job) -> Result:
    """Let some of each room say what they can."""
    usage = Usage(job.pid)
    with Crowd(job.address, DIALECTS[job.dialect]) as crowd:
        result = enter(crowd, job, usage)
        talk = Flood(crowd, job)
        talk.keep(WARM_UP_SECONDS)
        window = Window(crowd, usage)
        talk.keep(job.seconds)
        result |= window.result(hearers(job))
        return result | _losses(crowd)


def _losses(crowd: Crowd) -> Result:
    return {"dropped": crowd.dropped, "complaint": crowd.complaint}


class Pace:
    """Messages one at a time, evenly spread over the time, the rooms and the people in them."""

    def __init__(self, crowd: TimedCrowd, job: Job) -> None:
        self._crowd, self._job = crowd, job
        self._rooms = by_room(crowd, job)
        self._said = 0
        self._start = time.monotonic()
        self.late = 0.0  # seconds, at the worst, that this process was behind itself

    def keep(self, seconds: float) -> None:
        """Say what is due and take what arrives, for so long."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            due = self._start + self._said / self._job.per_second
            if now >= due:
                self.late = max(self.late, now - due)
                self._say_next()
                self._crowd.pump(0)
            else:
                self._crowd.pump(min(due, end) - now)

    def _say_next(self) -> None:
        turn, room = divmod(self._said, self._job.rooms)
        people = self._rooms[room]
        self._crowd.say(people[turn % len(people)], self._crowd.dialect.say(room, text(time.time_ns())))
        self._said += 1


def paced(job: Job) -> Result:
    """Let all speak in turns, so many messages a second."""
    usage = Usage(job.pid)
    with TimedCrowd(job.address, DIALECTS[job.dialect]) as crowd:
        result = enter(crowd, job, usage)
        pace = Pace(crowd, job)
        pace.keep(WARM_UP_SECONDS)
        del crowd.delays[:]
        pace.late = 0.0
        window = Window(crowd, usage)
        pace.keep(job.seconds)
        result |= window.result(hearers(job)) | delays(crowd.delays) | {"late_ms": pace.late * 1e3}
        return result | _losses(crowd)


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


KINDS: dict[str, Callable[[Job], Result]] = {"flood": flood, "paced": paced}


def main() -> None:
    """Do one job and print its result."""
    raise_descriptor_limit()
    gc.disable()  # a process of seconds; no pauses
    job = json.loads(sys.argv[1])
    job["address"] = tuple(job["address"])
    job = Job(**job)
    try:
        result = KINDS[job.kind](job)
    except MissingError as error:
        result = {"note": str(error)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
