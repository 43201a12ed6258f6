"""The load generator, a process of its own: `python3 -m benchmarks.load JOB`, JSON in and JSON out.

It plays one scene against one server that runs, and measures: what arrives, and when, on its own side; CPU and memory
of the server's process from outside.
"""

import gc
import json
import sys
import time
from collections.abc import Callable

from benchmarks import connection_scenarios as mass
from benchmarks.load_clients import Crowd, TimedCrowd
from benchmarks.measure import Job, MissingError, Result, Usage, Window, by_room, delays, enter, hearers, losses
from benchmarks.systems import raise_descriptor_limit
from benchmarks.wire_formats import DIALECTS, text

WARM_UP_SECONDS = 1.0  # not counted
BLOCK_LINES = 1_024  # that a flooder offers at once
PROD_SECONDS = 0.001
CHURN_IN_FLIGHT = 100


class Churn:
    """Others who come into the first room and leave it as soon as they are in, so many a second."""

    def __init__(self, crowd: Crowd, job: Job) -> None:
        self._crowd, self._rate = crowd, job.churn
        self._residents = len(crowd.inside)
        self._begun = 0
        self._start = time.monotonic()
        self.left = 0

    def step(self, *, over: bool = False) -> None:
        """Have those come who are due, unless it is over, and those leave who are in."""
        due = 0.0 if over else (time.monotonic() - self._start) * self._rate
        while self._begun < due and self._crowd.people < self._residents + CHURN_IN_FLIGHT:
            self._crowd.begin(f"x{self._begun}", 0)
            self._begun += 1
        for client in self._crowd.inside[self._residents :]:
            self._crowd.leave(client)
            self.left += 1


class Flood:
    """Some of each room say what they can, as fast as the server takes it; one keeps it awake, if it must be."""

    def __init__(self, crowd: Crowd, job: Job) -> None:
        self._crowd = crowd
        crowd.go_deaf(crowd.inside[len(crowd.inside) - job.stalled :])
        self._prod, self._prodder = job.prod.encode(), crowd.inside[-1]
        self.churn = Churn(crowd, job)
        self._step = PROD_SECONDS if job.prod or job.churn else 1.0
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
                self._crowd.say(self._prodder, self._prod)
            self.churn.step()
            self._crowd.pump(min(self._step, end - now))


def flood(job: Job) -> Result:
    """Let some of each room say what they can."""
    usage = Usage(job.pid)
    with Crowd(job.address, DIALECTS[job.dialect], job.context()) as crowd:
        result = enter(crowd, job, usage)
        talk = Flood(crowd, job)
        talk.keep(WARM_UP_SECONDS)
        window, left = Window(crowd, usage), talk.churn.left
        talk.keep(job.seconds)
        result |= window.result(hearers(job))
        if job.churn:  # those who come and go hear something, too
            result |= {"messages_per_second": None, "left_per_second": (talk.churn.left - left) / job.seconds}
        return result | losses(crowd)


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
    with TimedCrowd(job.address, DIALECTS[job.dialect], job.context(), own_clock=job.own_clock) as crowd:
        result = enter(crowd, job, usage)
        pace = Pace(crowd, job)
        pace.keep(WARM_UP_SECONDS)
        del crowd.delays[:]
        pace.late = 0.0
        window = Window(crowd, usage)
        pace.keep(job.seconds)
        result |= window.result(hearers(job)) | delays(crowd.delays) | {"late_ms": pace.late * 1e3}
        result["kept_share"] = result["messages_per_second"] / job.per_second
        return result | losses(crowd)


KINDS: dict[str, Callable[[Job], Result]] = {
    "flood": flood,
    "paced": paced,
    "storm": mass.storm,
    "idle": mass.idle,
    "catch-up": mass.catch_up,
}


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
