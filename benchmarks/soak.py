"""Does anything grow, in an hour or 100,000 visits? `python3 -m benchmarks soak`, `python3 -m benchmarks connects`.

What is looked at is the server's process: its memory, threads and descriptors.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.load import Churn, Pace
from benchmarks.load_clients import Client, Crowd, TimedCrowd
from benchmarks.measure import Job, Usage, delays, settle
from benchmarks.systems import SYSTEMS, running
from benchmarks.wire_formats import DIALECTS, text

GROWTH_BYTES = 5_000_000  # that memory may go up and down by; a leak of 100 bytes a visit would be 10 MB
STEP_SECONDS = 0.1
SAMPLE_SECONDS = 60.0
BACK_SECONDS = 30.0  # for the server to be as it was before
GRACE = ("--grace", "2")  # seconds that a lost name is held, so that nobody is when it is looked

SOAK_CLIENTS, SOAK_PER_SECOND, SOAK_CHURN = 100, 200, 10

VISITS = 100_000
WARM_UP_VISITS = 10_000  # after which the server has what it keeps: caches, arenas, the tail of the lobby
PARTS = 4  # after each of which is looked, so that one sees whether it goes on growing
IN_FLIGHT = 50
ROOMS = 2  # where some go; few, so that after the warm-up the ends of their logs in memory have the length they keep
CONNECT_SECONDS = 3_600.0  # for all visits; it is given up after that


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server holds at one moment."""

    memory: int
    threads: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.memory / 1e6:8.1f} MB {self.threads:6} threads {self.descriptors:6} descriptors"


def look(usage: Usage) -> Sample:
    """Return what the server holds now."""
    return Sample(usage.resident_bytes(), usage.threads(), usage.descriptors())


def grown(before: Sample, after: Sample) -> list[str]:
    """Return what is not as it was."""
    return [
        *(["memory"] if after.memory > before.memory + GROWTH_BYTES else []),
        *(["threads"] if after.threads != before.threads else []),
        *(["descriptors"] if after.descriptors != before.descriptors else []),
    ]


def verdict(before: Sample, after: Sample) -> int:
    """Say what has grown; return the exit code."""
    more = grown(before, after)
    print("GROWN: " + ", ".join(more) if more else f"flat (memory within {GROWTH_BYTES / 1e6:g} MB)", flush=True)
    return 1 if more else 0


def wait_until_back(crowd: Crowd, usage: Usage, before: Sample | None) -> Sample:
    """Return what the server holds when threads and descriptors are as before, or do not change any more."""
    end = time.monotonic() + BACK_SECONDS
    last, now = None, look(usage)
    while time.monotonic() < end:
        settle(crowd, 1.0)
        last, now = now, look(usage)
        if (before is None or not grown(before, now)) and last.threads == now.threads:
            break
    return now


# ---------------------------------------------------------------------------------------------------------- an hour


def soak(hours: float) -> int:
    """Have 100 talk while others come and go; print a line each minute; return the exit code."""
    with running(SYSTEMS["ours"], *GRACE) as server, TimedCrowd(server.address, DIALECTS["ours"]) as crowd:
        usage = Usage(server.pid)
        job = Job("soak", server.address, server.pid, "ours", IN_FLIGHT, 0, SOAK_CLIENTS, 1, 0, SOAK_PER_SECOND)
        crowd.enter(SOAK_CLIENTS, 1, IN_FLIGHT, BACK_SECONDS)
        start = time.monotonic()
        end = start + hours * 3_600
        first: Sample | None = None
        print(f"{SOAK_CLIENTS} talk, {SOAK_PER_SECOND} lines/s in all; {SOAK_CHURN} others come and leave each second")
        while time.monotonic() < end:
            _talk(crowd, job, min(SAMPLE_SECONDS, end - time.monotonic()))
            sample = wait_until_back(crowd, usage, first)
            p99 = delays(crowd.delays).get("delay_p99_ms", 0.0)
            print(f"{(time.monotonic() - start) / 60:6.1f} min {sample}   p99 {p99:6.2f} ms", flush=True)
            del crowd.delays[:]
            if time.monotonic() < start + hours * 900:  # of the first quarter the last: it grows until it is warm
                first = sample
            first = first or sample
        assert first is not None
        return verdict(first, sample)


def _talk(crowd: TimedCrowd, job: Job, seconds: float) -> None:
    job = Job("soak", job.address, job.pid, "ours", 0, 0, job.clients, 1, 0, job.per_second, churn=SOAK_CHURN)
    pace, churn = Pace(crowd, job), Churn(crowd, job)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pace.keep(STEP_SECONDS)
        churn.step()
    while crowd.people > job.clients and time.monotonic() < end + BACK_SECONDS:
        churn.step(over=True)
        crowd.pump(STEP_SECONDS)


# ----------------------------------------------------------------------------------------------------- 100,000 visits


def _polite(crowd: Crowd, client: Client) -> None:
    crowd.say(client, crowd.dialect.say(0, text()) * 3)
    crowd.leave(client)


def _gone(crowd: Crowd, client: Client) -> None:
    crowd.say(client, crowd.dialect.say(0, text()))
    crowd.close(client)


def _torn(crowd: Crowd, client: Client) -> None:
    crowd.say(client, crowd.dialect.say(0, text()))
    crowd.close(client, abruptly=True)


def _half(crowd: Crowd, client: Client) -> None:
    crowd.say(client, b"a line that has no end")
    crowd.half_close(client)


def _elsewhere(crowd: Crowd, client: Client) -> None:
    room = int(client.name[1:]) % ROOMS
    crowd.say(client, f"/join room{room}\nhello\n/who\n/list\n".encode())
    crowd.leave(client)


MANNERS: tuple[Callable[[Crowd, Client], None], ...] = (_polite, _gone, _torn, _half, _elsewhere)
NAMELESS = 2  # of so many more visits, one closes before it has a name and one resets the connection


def _begin(crowd: Crowd, number: int) -> None:
    """Begin a visit: by turns with each of the manners, or without ever saying a name."""
    turn = number % (len(MANNERS) + NAMELESS)
    if turn < len(MANNERS):
        crowd.begin(f"v{number}", 0)
        return
    client = crowd.connect("", 0)
    crowd.say(client, b"/na")
    crowd.close(client, abruptly=turn == len(MANNERS))


def visit(crowd: Crowd, numbers: range) -> None:
    """Make so many visits, at most IN_FLIGHT at a time. Raises TimeoutError."""
    deadline = time.monotonic() + CONNECT_SECONDS
    waiting = iter(numbers)
    left = len(numbers)
    while left or crowd.people:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left + crowd.people} visits are not over after {CONNECT_SECONDS:g} s")
        while left and crowd.people < IN_FLIGHT:
            _begin(crowd, next(waiting))
            left -= 1
        crowd.pump(STEP_SECONDS)
        for client in list(crowd.inside):
            manner = MANNERS[int(client.name[1:]) % (len(MANNERS) + NAMELESS)]
            manner(crowd, client)


def connects(visits: int = VISITS, warm_up: int = WARM_UP_VISITS) -> int:
    """Make visits of all manners and print what the server holds before and after; return the exit code."""
    with running(SYSTEMS["ours"], *GRACE) as server, Crowd(server.address, DIALECTS["ours"]) as crowd:
        usage = Usage(server.pid)
        print(f"at the start     {look(usage)}", flush=True)
        visit(crowd, range(warm_up))
        before = wait_until_back(crowd, usage, None)
        print(f"{warm_up:7,} visits   {before}", flush=True)
        start = time.monotonic()
        for part in range(PARTS):
            visit(crowd, range(warm_up + visits * part // PARTS, warm_up + visits * (part + 1) // PARTS))
            after = wait_until_back(crowd, usage, before)
            done = visits * (part + 1) // PARTS
            rate = done / (time.monotonic() - start)
            print(f"{done:7,} more     {after}   {rate:,.0f} visits/s", flush=True)
        if crowd.dropped:
            print(f"{crowd.dropped} were thrown out, the first with: {crowd.complaint}")
        return verdict(before, after)
