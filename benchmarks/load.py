"""The load generator, a process of its own: `python3 -m benchmarks.load JOB`, JSON in and JSON out.

It runs one scene against one running server. It measures what arrives, and when, on its own side, and the CPU time and
memory of the server's process from outside.
"""

import gc
import json
import sys
import time
from collections.abc import Callable

from benchmarks.connection_scenarios import run_catch_up, run_idle, run_storm
from benchmarks.load_clients import LoadClients, TimedLoadClients
from benchmarks.measure import (
    Job,
    MissingError,
    Result,
    Usage,
    Window,
    delay_quantiles,
    drops,
    group_by_room,
    join_all,
    recipients_per_message,
)
from benchmarks.systems import raise_descriptor_limit
from benchmarks.wire_formats import WIRE_FORMATS, message_text

WARM_UP_SECONDS = 1.0  # not counted
BLOCK_LINES = 1_024  # that a flooding client offers at once
KEEP_AWAKE_SECONDS = 0.001
CHURN_MAX_PENDING = 100


class Churn:
    """Additional clients, `job.churn` a second, that join the first room and leave at once."""

    def __init__(self, clients: LoadClients, job: Job) -> None:
        self._clients, self._rate = clients, job.churn
        self._residents = len(clients.joined)
        self._started = 0
        self._start = time.monotonic()
        self.left = 0

    def step(self, *, ending: bool = False) -> None:
        """Connect the clients that are due, none if it is `ending`, and make those leave that have joined."""
        due = 0.0 if ending else (time.monotonic() - self._start) * self._rate
        while self._started < due and self._clients.connected < self._residents + CHURN_MAX_PENDING:
            self._clients.sign_in(f"x{self._started}", 0)
            self._started += 1
        for client in self._clients.joined[self._residents :]:
            self._clients.leave(client)
            self.left += 1


class Flood:
    """Some clients of each room send as fast as the server reads."""

    def __init__(self, clients: LoadClients, job: Job) -> None:
        self._clients = clients
        clients.stop_reading(clients.joined[len(clients.joined) - job.stalled :])
        self._keep_awake, self._waker = job.keep_awake.encode(), clients.joined[-1]
        self.churn = Churn(clients, job)
        self._step = KEEP_AWAKE_SECONDS if job.keep_awake or job.churn else 1.0
        for number, room in enumerate(group_by_room(clients, job)):
            for client in room[: job.flooders]:
                clients.start_flood(client, clients.wire_format.encode_message(number, message_text()) * BLOCK_LINES)

    def run(self, seconds: float) -> None:
        """Continue for `seconds`."""
        end = time.monotonic() + seconds
        woken = 0.0
        while (now := time.monotonic()) < end:
            if self._keep_awake and now >= woken + KEEP_AWAKE_SECONDS:
                woken = now
                self._clients.send(self._waker, self._keep_awake)
            self.churn.step()
            self._clients.poll(min(self._step, end - now))


def run_flood(job: Job) -> Result:
    """Measure a flood."""
    usage = Usage(job.pid)
    with LoadClients(job.address, WIRE_FORMATS[job.wire_format], job.context()) as clients:
        result = join_all(clients, job, usage)
        flood = Flood(clients, job)
        flood.run(WARM_UP_SECONDS)
        window, left = Window(clients, usage), flood.churn.left
        flood.run(job.seconds)
        result |= window.result(recipients_per_message(job))
        if job.churn:  # the churning clients receive messages too
            result |= {"messages_per_second": None, "left_per_second": (flood.churn.left - left) / job.seconds}
        return result | drops(clients)


class Pacer:
    """Single messages, evenly spread over the time, the rooms and their members."""

    def __init__(self, clients: TimedLoadClients, job: Job) -> None:
        self._clients, self._job = clients, job
        self._rooms = group_by_room(clients, job)
        self._sent = 0
        self._start = time.monotonic()
        self.late = 0.0  # the most seconds that this process was behind its own schedule

    def run(self, seconds: float) -> None:
        """Send what is due and read what arrives, for `seconds`."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            due = self._start + self._sent / self._job.per_second
            if now >= due:
                self.late = max(self.late, now - due)
                self._send_next()
                self._clients.poll(0)
            else:
                self._clients.poll(min(due, end) - now)

    def _send_next(self) -> None:
        turn, room = divmod(self._sent, self._job.rooms)
        members = self._rooms[room]
        message = self._clients.wire_format.encode_message(room, message_text(time.time_ns()))
        self._clients.send(members[turn % len(members)], message)
        self._sent += 1


def run_paced(job: Job) -> Result:
    """Measure messages at a fixed rate, sent by all clients in turns."""
    usage = Usage(job.pid)
    wire_format = WIRE_FORMATS[job.wire_format]
    with TimedLoadClients(job.address, wire_format, job.context(), own_clock=job.own_clock) as clients:
        result = join_all(clients, job, usage)
        pacer = Pacer(clients, job)
        pacer.run(WARM_UP_SECONDS)
        del clients.delays[:]
        pacer.late = 0.0
        window = Window(clients, usage)
        pacer.run(job.seconds)
        result |= window.result(recipients_per_message(job)) | delay_quantiles(clients.delays)
        result |= {"late_ms": pacer.late * 1e3, "arrived_share": result["messages_per_second"] / job.per_second}
        return result | drops(clients)


KINDS: dict[str, Callable[[Job], Result]] = {
    "flood": run_flood,
    "paced": run_paced,
    "storm": run_storm,
    "idle": run_idle,
    "catch-up": run_catch_up,
}


def main() -> None:
    """Run one job and print its result."""
    raise_descriptor_limit()
    gc.disable()  # no pauses: the process lives for seconds
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
