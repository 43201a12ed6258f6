"""What ten honest people notice of each attack: `python3 -m benchmarks.attacks [--only NAME] [--rounds 5]`.

For each attack a server of its own is started, on loopback, and another one like it, the decoy. Ten honest people, a
process of their own, chat on the first and measure the delay of their lines: in each round first in quiet, then while
the decoy is attacked, then while their own server is. From the first to the second it is the machine that makes the
difference, which servers, attacker and honest people share; from the second to the third it is the server. The figures
are medians of the rounds.

The goal: the p99 is at most twice that in quiet, or FLOOR_MS, the server's memory grows by at most 50 MB, and every
honest line arrives, in order; and in every round something is seen that proves that the attack bit. A server `strict`
counts addresses on this machine, too. It ends only what it started, and needs Linux.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.attacker import TRIALS
from benchmarks.evidence import Evidence, Watch, log_words, messages_in
from benchmarks.latency_probe import LAST_SECONDS
from testing.server import ServerProcess
from testing.waiting import ROOT, TIMEOUT_SECONDS

FLOOR_MS = 10.0  # a line goes through two threads, and each may wait one turn of Python's thread switch, 5 ms
MEMORY_MB = 50.0
LOOK_SECONDS = 0.05  # between two looks at the server
REST_SECONDS = 3.0  # at most, until a server is rid of its attackers: after /bye they have 2 s to read it
HEADER = (
    "attack           | p99 in ms: quiet control attacked |  max  | ratio |   MB | goal   | what proves that it bit"
)

Window = tuple[float, float]  # in seconds of the monotonic clock


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the folder of its log."""

    server: ServerProcess
    folder: Path

    def messages(self) -> Evidence:
        """Count what its log says."""
        return log_words(messages_in(self.folder))


@contextmanager
def target(kind: str) -> Iterator[Target]:
    """Run a server of one of the kinds: plain, tls, strict."""
    options = ["--tls-self-signed"] if kind == "tls" else []
    module = "benchmarks.strict_server" if kind == "strict" else ""
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), *options, module=module) as server:
        yield Target(server, Path(folder))


@contextmanager
def program(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a module of ours that says when it is ready, and see to it that it ends."""
    command = [sys.executable, "-m", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def honest_people(where: Target, kind: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run those who chat and measure, until their standard input ends."""
    return program("benchmarks.latency_probe", *where.server.address, kind)


def wait(seconds: float, watch: Watch | None = None) -> Window:
    """Let time pass, looking at a server; return the window."""
    start = time.monotonic()
    while (left := start + seconds - time.monotonic()) > 0:
        if watch:
            watch.look()
        time.sleep(min(left, LOOK_SECONDS))
    return start, start + seconds


def attack(name: str, whom: Target, number: int, seconds: float) -> tuple[Window, Evidence, int]:
    """Attack a server; return when, what was seen of it, and how many bytes the server held at most."""
    watch, before = Watch(whom.server.process.pid), whom.messages()
    with program("benchmarks.attacker", name, *whom.server.address, seconds, number) as attacker:
        assert attacker.stdin is not None
        attacker.stdin.write("go\n")
        attacker.stdin.flush()
        window = wait(seconds, watch)
        told = json.loads(attacker.communicate(timeout=REST_SECONDS + TIMEOUT_SECONDS)[0])
    rest_until = time.monotonic() + REST_SECONDS
    while watch.threads > 0 and time.monotonic() < rest_until:
        time.sleep(LOOK_SECONDS)
    return window, Evidence(told) + watch.most + (whom.messages() - before), watch.most_bytes


@dataclass(frozen=True, slots=True)
class Result:
    """What the honest people noticed: in ms, in each condition the p99 of each round, and the longest delay of all."""

    name: str
    p99s: dict[str, list[float]]
    longest: float
    grown_mb: float
    in_order: bool
    evidence: list[Evidence]

    def p99(self, condition: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.p99s[condition])

    @property
    def bite(self) -> str:
        """What proves that the attack bit, in every round; empty if it did not."""
        bite = TRIALS[self.name].bite
        return bite.shown(self.evidence) if all(map(bite.is_in, self.evidence)) else ""

    @property
    def verdict(self) -> str:
        """What of the goal is missed, `ok` if nothing."""
        missed = {
            "p99": self.p99("attacked") > max(2 * self.p99("quiet"), FLOOR_MS),
            "memory": self.grown_mb > MEMORY_MB,
            "order": not self.in_order,
            "bite": not self.bite,
        }
        return " ".join(what for what, is_missed in missed.items() if is_missed) or "ok"

    @property
    def row(self) -> str:
        """How it stands in the table."""
        quiet, control, attacked = map(self.p99, CONDITIONS)
        figures = f"{quiet:16.1f} {control:7.1f} {attacked:8.1f} | {self.longest:5.0f} | {attacked / quiet:5.1f}"
        return f"{self.name:16} | {figures} | {self.grown_mb:4.1f} | {self.verdict:6} | {self.bite or 'no bite'}"


CONDITIONS = ("quiet", "control", "attacked")


def run(name: str, seconds: float, rounds: int) -> Result:
    """Have honest people chat on a server while nobody, another one, and it is attacked, in turns."""
    kind = TRIALS[name].server
    windows: dict[str, list[Window]] = {condition: [] for condition in CONDITIONS}
    evidence, most = [], 0
    with target(kind) as mine, target(kind) as decoy, honest_people(mine, kind) as honest:
        before = mine.server.resident_bytes()
        for number in range(rounds):
            windows["quiet"].append(wait(seconds))
            windows["control"].append(attack(name, decoy, number, seconds)[0])
            window, seen, held = attack(name, mine, number, seconds)
            windows["attacked"].append(window)
            evidence.append(seen)
            most = max(most, held)
        told = json.loads(honest.communicate(timeout=LAST_SECONDS + TIMEOUT_SECONDS)[0])
    delays = {condition: [_within(window, told["delays"]) for window in windows[condition]] for condition in windows}
    p99s = {condition: [statistics.quantiles(some, n=100)[98] for some in delays[condition]] for condition in delays}
    longest = max(map(max, delays["attacked"]))
    return Result(name, p99s, longest, (most - before) / 1e6, told["in_order"], evidence)


def _within(window: Window, delays: list[tuple[float, float]]) -> list[float]:
    """Return the delays in ms of what was said in a window."""
    return [delay * 1e3 for said, delay in delays if window[0] <= said < window[1]]


def main() -> int:
    """Print a row for each attack; 1 if one misses the goal."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=TRIALS, action="append")
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--all-rounds", action="store_true", help="show the p99 of every round, too")
    given = options.parse_args()
    print(HEADER)
    missed = False
    for name in given.only or TRIALS:
        result = run(name, given.seconds, given.rounds)
        print(result.row, flush=True)
        if given.all_rounds:
            for condition, p99s in result.p99s.items():
                print(f"{condition:>28} {' '.join(f'{p99:6.1f}' for p99 in p99s)}", flush=True)
        missed = missed or result.verdict != "ok"
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
