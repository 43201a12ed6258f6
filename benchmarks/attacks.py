"""The delay that ten users notice under each attack: `python3 -m benchmarks.attacks [--only NAME] [--rounds 5]`.

For each attack two servers start on loopback, the target and a control. The latency probe, ten clients in a process of
their own, chats on the target and measures the delay of its lines. Each round has three windows: quiet, while the
control is attacked, and while the target is attacked. The first step shows what the machine adds, which servers,
attacker and probe share; the second shows what the server adds. The figures are medians of the rounds.

The goal: the p99 under attack is at most twice that in quiet, or P99_MS; the server's memory grows by at most 50 MB;
all lines of the probe arrive in order; and each round has the evidence that the attack reached the server. A `strict`
server applies its limits for each address on loopback, too. It stops only what it started, and needs Linux.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.attack_evidence import Evidence, ServerMonitor, count_log_words, read_log
from benchmarks.attacker import ATTACKS
from benchmarks.latency_probe import DRAIN_SECONDS
from testing.server import ServerProcess
from testing.waiting import ROOT, TIMEOUT_SECONDS

P99_MS = 10.0  # a line passes two threads, and each may wait one switch interval of Python, 5 ms
MEMORY_MB = 50.0
SAMPLE_SECONDS = 0.05
REST_SECONDS = 3.0  # at most, until a server has ended its attackers: after /bye they have 2 s to read it
HEADER = "attack           | p99 in ms: quiet control attacked |  max  | ratio |   MB | goal   | evidence"
CONDITIONS = ("quiet", "control", "attacked")

Window = tuple[float, float]  # in seconds of the monotonic clock


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the folder of its log."""

    server: ServerProcess
    folder: Path

    def count_log_words(self) -> Evidence:
        """Count the messages of its log by their first word."""
        return count_log_words(read_log(self.folder))


@contextmanager
def run_target(kind: str) -> Iterator[Target]:
    """Run a server of a kind: plain, tls, strict."""
    options = ["--tls-self-signed"] if kind == "tls" else []
    module = "benchmarks.strict_server" if kind == "strict" else ""
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), *options, module=module) as server:
        yield Target(server, Path(folder))


@contextmanager
def run_module(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a module that prints a line when it is ready, and kill it at the end."""
    command = [sys.executable, "-m", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def wait(seconds: float, monitor: ServerMonitor | None = None) -> Window:
    """Wait for `seconds`, sampling a server; return the window."""
    start = time.monotonic()
    while (left := start + seconds - time.monotonic()) > 0:
        if monitor:
            monitor.sample()
        time.sleep(min(left, SAMPLE_SECONDS))
    return start, start + seconds


def run_attack(name: str, target: Target, number: int, seconds: float) -> tuple[Window, Evidence, int]:
    """Attack a server; return the window, the evidence, and the most bytes that the server held."""
    monitor, before = ServerMonitor(target.server.process.pid), target.count_log_words()
    with run_module("benchmarks.attacker", name, *target.server.address, seconds, number) as attacker:
        assert attacker.stdin is not None
        attacker.stdin.write("go\n")
        attacker.stdin.flush()
        window = wait(seconds, monitor)
        answers = json.loads(attacker.communicate(timeout=REST_SECONDS + TIMEOUT_SECONDS)[0])
    rest_until = time.monotonic() + REST_SECONDS
    while monitor.threads > 0 and time.monotonic() < rest_until:
        time.sleep(SAMPLE_SECONDS)
    return window, Evidence(answers) + monitor.most + (target.count_log_words() - before), monitor.most_bytes


@dataclass(frozen=True, slots=True)
class Result:
    """The delays of the probe: the p99 in ms of each round by condition, and the longest delay under attack."""

    name: str
    p99s: dict[str, list[float]]
    longest: float
    grown_mb: float
    in_order: bool
    rounds: list[Evidence]

    def p99(self, condition: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.p99s[condition])

    @property
    def evidence(self) -> str:
        """The evidence that the attack reached the server in every round; empty if it did not."""
        threshold = ATTACKS[self.name].threshold
        return threshold.describe(self.rounds) if all(map(threshold.is_reached, self.rounds)) else ""

    @property
    def verdict(self) -> str:
        """The parts of the goal that are missed, `ok` if none is."""
        missed = {
            "p99": self.p99("attacked") > max(2 * self.p99("quiet"), P99_MS),
            "memory": self.grown_mb > MEMORY_MB,
            "order": not self.in_order,
            "evidence": not self.evidence,
        }
        return " ".join(part for part, is_missed in missed.items() if is_missed) or "ok"

    @property
    def row(self) -> str:
        """Its row in the table."""
        quiet, control, attacked = map(self.p99, CONDITIONS)
        figures = f"{quiet:16.1f} {control:7.1f} {attacked:8.1f} | {self.longest:5.0f} | {attacked / quiet:5.1f}"
        return f"{self.name:16} | {figures} | {self.grown_mb:4.1f} | {self.verdict:6} | {self.evidence or 'none'}"


def measure_attack(name: str, seconds: float, rounds: int) -> Result:
    """Run the probe on a target while nothing, the control and the target are attacked, in turns."""
    kind = ATTACKS[name].server
    windows: dict[str, list[Window]] = {condition: [] for condition in CONDITIONS}
    evidence, most = [], 0
    with (
        run_target(kind) as target,
        run_target(kind) as control,
        run_module("benchmarks.latency_probe", *target.server.address, kind) as probe,
    ):
        before = target.server.resident_bytes()
        for number in range(rounds):
            windows["quiet"].append(wait(seconds))
            windows["control"].append(run_attack(name, control, number, seconds)[0])
            window, seen, held = run_attack(name, target, number, seconds)
            windows["attacked"].append(window)
            evidence.append(seen)
            most = max(most, held)
        measured = json.loads(probe.communicate(timeout=DRAIN_SECONDS + TIMEOUT_SECONDS)[0])
    delays = {
        condition: [_delays_within(window, measured["delays"]) for window in windows[condition]]
        for condition in CONDITIONS
    }
    p99s = {condition: [statistics.quantiles(some, n=100)[98] for some in delays[condition]] for condition in delays}
    longest = max(map(max, delays["attacked"]))
    return Result(name, p99s, longest, (most - before) / 1e6, measured["in_order"], evidence)


def _delays_within(window: Window, delays: list[tuple[float, float]]) -> list[float]:
    """Return the delays in ms of the lines that were sent in a window."""
    return [delay * 1e3 for sent_at, delay in delays if window[0] <= sent_at < window[1]]


def main() -> int:
    """Print a row for each attack; return 1 if one misses the goal."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=ATTACKS, action="append")
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    print(HEADER)
    missed = False
    for name in given.only or ATTACKS:
        result = measure_attack(name, given.seconds, given.rounds)
        print(result.row, flush=True)
        missed = missed or result.verdict != "ok"
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
