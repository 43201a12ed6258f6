"""Check for leaks: `python3 -m benchmarks soak` for an hour, `python3 -m benchmarks connects` for 100,000 visits.

Both sample the server's process: its memory, threads and descriptors.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.load import Churn, Pacer
from benchmarks.load_clients import LoadClient, LoadClients, TimedLoadClients
from benchmarks.measure import Job, Usage, delay_quantiles, wait_until_quiet
from benchmarks.systems import SYSTEMS, run_server
from benchmarks.wire_formats import WIRE_FORMATS, message_text

GROWTH_BYTES = 5_000_000  # that memory may vary by; a leak of 100 bytes a visit would be 10 MB
STEP_SECONDS = 0.1
SAMPLE_SECONDS = 60.0
RELEASE_SECONDS = 30.0  # for the server to release threads and descriptors
GRACE = ("--grace", "2")  # seconds that a lost name is held, so that none is held when a sample is taken

SOAK_CLIENTS, SOAK_PER_SECOND, SOAK_CHURN = 100, 200, 10

VISITS = 100_000
WARM_UP_VISITS = 10_000  # after which caches, arenas and the tail of the lobby have their final size
PARTS = 4  # a sample after each shows whether growth goes on
MAX_PENDING = 50
ROOMS = 2  # that some visits join; few, so that their tails in memory have their final size after the warm-up
CONNECT_SECONDS = 3_600.0  # for all visits; then the scene fails


@dataclass(frozen=True, slots=True)
class Sample:
    """The resources that the server holds at one moment."""

    memory: int
    threads: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.memory / 1e6:8.1f} MB {self.threads:6} threads {self.descriptors:6} descriptors"


def take_sample(usage: Usage) -> Sample:
    """Return what the server holds now."""
    return Sample(usage.resident_bytes(), usage.threads(), usage.descriptors())


def list_growth(before: Sample, after: Sample) -> list[str]:
    """Return the names of the figures that grew."""
    return [
        *(["memory"] if after.memory > before.memory + GROWTH_BYTES else []),
        *(["threads"] if after.threads != before.threads else []),
        *(["descriptors"] if after.descriptors != before.descriptors else []),
    ]


def print_verdict(before: Sample, after: Sample) -> int:
    """Print what grew; return the exit code."""
    grown = list_growth(before, after)
    print("GROWN: " + ", ".join(grown) if grown else f"flat (memory within {GROWTH_BYTES / 1e6:g} MB)", flush=True)
    return 1 if grown else 0


def wait_until_released(clients: LoadClients, usage: Usage, before: Sample | None) -> Sample:
    """Return a sample once threads and descriptors are as `before`, or stop changing."""
    end = time.monotonic() + RELEASE_SECONDS
    last, now = None, take_sample(usage)
    while time.monotonic() < end:
        wait_until_quiet(clients, 1.0)
        last, now = now, take_sample(usage)
        if (before is None or not list_growth(before, now)) and last.threads == now.threads:
            break
    return now


# ---------------------------------------------------------------------------------------------------------- an hour


def run_soak(hours: float) -> int:
    """Run 100 clients that chat while others join and leave; print a line a minute; return the exit code."""
    with (
        run_server(SYSTEMS["ours"], *GRACE) as server,
        TimedLoadClients(server.address, WIRE_FORMATS["hubbub"]) as clients,
    ):
        usage = Usage(server.pid)
        job = Job("soak", server.address, server.pid, "hubbub", MAX_PENDING, 0, SOAK_CLIENTS)
        job = replace(job, per_second=SOAK_PER_SECOND, churn=SOAK_CHURN)
        clients.join_all(SOAK_CLIENTS, 1, MAX_PENDING, RELEASE_SECONDS)
        start = time.monotonic()
        end = start + hours * 3_600
        first: Sample | None = None
        print(f"{SOAK_CLIENTS} clients send {SOAK_PER_SECOND} lines/s; {SOAK_CHURN} others join and leave each second")
        while time.monotonic() < end:
            _chat(clients, job, min(SAMPLE_SECONDS, end - time.monotonic()))
            sample = wait_until_released(clients, usage, first)
            p99 = delay_quantiles(clients.delays).get("delay_p99_ms", 0.0)
            print(f"{(time.monotonic() - start) / 60:6.1f} min {sample}   p99 {p99:6.2f} ms", flush=True)
            del clients.delays[:]
            if time.monotonic() < start + hours * 900:  # the last of the first quarter: memory grows until then
                first = sample
            first = first or sample
        assert first is not None
        return print_verdict(first, sample)


def _chat(clients: TimedLoadClients, job: Job, seconds: float) -> None:
    pacer, churn = Pacer(clients, job), Churn(clients, job)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pacer.run(STEP_SECONDS)
        churn.step()
    while clients.connected > job.clients and time.monotonic() < end + RELEASE_SECONDS:
        churn.step(ending=True)
        clients.poll(STEP_SECONDS)


# ----------------------------------------------------------------------------------------------------- 100,000 visits


def _leave(clients: LoadClients, client: LoadClient) -> None:
    clients.send(client, clients.wire_format.encode_message(0, message_text()) * 3)
    clients.leave(client)


def _close(clients: LoadClients, client: LoadClient) -> None:
    clients.send(client, clients.wire_format.encode_message(0, message_text()))
    clients.close(client)


def _reset(clients: LoadClients, client: LoadClient) -> None:
    clients.send(client, clients.wire_format.encode_message(0, message_text()))
    clients.close(client, reset=True)


def _half_close(clients: LoadClients, client: LoadClient) -> None:
    clients.send(client, b"a line without an end")
    clients.half_close(client)


def _join_and_leave(clients: LoadClients, client: LoadClient) -> None:
    room = int(client.name[1:]) % ROOMS
    clients.send(client, f"/join room{room}\nhello\n/who\n/list\n".encode())
    clients.leave(client)


ENDINGS: tuple[Callable[[LoadClients, LoadClient], None], ...] = (_leave, _close, _reset, _half_close, _join_and_leave)
UNNAMED = 2  # of so many more visits, one closes and one resets the connection before it has a name


def _start_visit(clients: LoadClients, number: int) -> None:
    """Start a visit that gets one of the endings in turn, or none because it never sends a name."""
    turn = number % (len(ENDINGS) + UNNAMED)
    if turn < len(ENDINGS):
        clients.sign_in(f"v{number}", 0)
        return
    client = clients.connect("", 0)
    clients.send(client, b"/na")
    clients.close(client, reset=turn == len(ENDINGS))


def make_visits(clients: LoadClients, numbers: range) -> None:
    """Make a visit for each number, at most MAX_PENDING at a time. Raises TimeoutError."""
    deadline = time.monotonic() + CONNECT_SECONDS
    waiting = iter(numbers)
    left = len(numbers)
    while left or clients.connected:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left + clients.connected} visits are not over after {CONNECT_SECONDS:g} s")
        while left and clients.connected < MAX_PENDING:
            _start_visit(clients, next(waiting))
            left -= 1
        clients.poll(STEP_SECONDS)
        for client in list(clients.joined):
            ENDINGS[int(client.name[1:]) % (len(ENDINGS) + UNNAMED)](clients, client)


def run_connects(visits: int = VISITS, warm_up: int = WARM_UP_VISITS) -> int:
    """Make visits with all endings; print what the server holds before and after; return the exit code."""
    with run_server(SYSTEMS["ours"], *GRACE) as server, LoadClients(server.address, WIRE_FORMATS["hubbub"]) as clients:
        usage = Usage(server.pid)
        print(f"at the start     {take_sample(usage)}", flush=True)
        make_visits(clients, range(warm_up))
        before = wait_until_released(clients, usage, None)
        print(f"{warm_up:7,} visits   {before}", flush=True)
        start = time.monotonic()
        for part in range(PARTS):
            make_visits(clients, range(warm_up + visits * part // PARTS, warm_up + visits * (part + 1) // PARTS))
            after = wait_until_released(clients, usage, before)
            done = visits * (part + 1) // PARTS
            rate = done / (time.monotonic() - start)
            print(f"{done:7,} more     {after}   {rate:,.0f} visits/s", flush=True)
        if clients.dropped:
            print(f"the server disconnected {clients.dropped}, the first with: {clients.refusal}")
        return print_verdict(before, after)
