"""Growth of the costs: scenes with more clients, rooms or messages, and the exponents that fit the results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.report import COLUMNS, Result, Results, failure_of, format_value, median
from benchmarks.scenes import BASELINE, CPU, DELIVERIES, MEMORY, OURS, P99, SCENES, Scene

SHARES = ("cpu_share", "load_cpu_share")  # of a core: a system has reached its limit when it uses all of it
SYSTEMS = (OURS, BASELINE, "ngircd", "inspircd")
SIZES = (10, 100, 1_000, 10_000)
ROOMS = (1, 10, 100, 1_000)
LOADS = (100, 300, 1_000, 3_000, 10_000)
IRC_ROOM = 1_000  # members; joining a bigger channel takes more than a minute on an IRC server


@dataclass(frozen=True, slots=True)
class Series:
    """Scenes that differ in one number, and the metrics that are shown."""

    name: str
    over: str  # the meaning of the number
    metrics: tuple[str, ...]
    scenes: tuple[tuple[int, Scene], ...]


def _of_sizes(scene: Scene, sizes: Sequence[int]) -> tuple[tuple[int, Scene], ...]:
    return tuple((size, replace(scene, clients=size, flooders=min(scene.flooders, size))) for size in sizes)


def _of_rooms(scene: Scene) -> tuple[tuple[int, Scene], ...]:
    return tuple((rooms, replace(scene, clients=10 * rooms, rooms=rooms)) for rooms in ROOMS)


SERIES = (
    Series("flood-room", "members of the room", (DELIVERIES, CPU, *SHARES), _of_sizes(SCENES["flood-100"], SIZES)),
    Series("flood-rooms", "rooms of 10", (DELIVERIES, CPU, *SHARES), _of_rooms(SCENES["rooms"])),
    Series("paced-rooms", "rooms of 10, 2,000 messages/s", (CPU, P99, *SHARES), _of_rooms(SCENES["rooms-paced"])),
    Series(
        "paced-load",
        "messages/s to a room of 100",
        (CPU, P99, *SHARES),
        tuple((load, replace(SCENES["paced-100"], per_second=load)) for load in LOADS),
    ),
    Series("clients", "clients, silent", (MEMORY, "join_seconds"), _of_sizes(SCENES["idle"], SIZES)),
)


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """Return k of the power law y = c x^k that fits best, least squares of the logarithms; None without two points."""
    logs = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread


def can_run(name: str, scene: Scene) -> bool:
    """Return whether all clients can join a system in reasonable time."""
    return name in {OURS, BASELINE} or not scene.rooms or scene.clients // scene.rooms <= IRC_ROOM


def summarize(series: Series, results_by_number: dict[int, Results]) -> Result:
    """Return the points and exponents of each system, and the failures."""
    points: dict[str, dict[str, list[tuple[int, float]]]] = {}
    failures: list[str] = []
    for number, results in results_by_number.items():
        for name, runs in results.items():
            if failure := failure_of(runs):
                failures.append(f"{name} at {number:,}: {failure}")
                continue
            for metric in series.metrics:
                if (value := median(runs, metric)) is not None:
                    points.setdefault(name, {}).setdefault(metric, []).append((number, value))
    exponents = {
        name: {metric: exponent(pairs) for metric, pairs in metrics.items() if metric not in SHARES}
        for name, metrics in points.items()
    }
    return {"name": series.name, "over": series.over, "points": points, "exponents": exponents, "failures": failures}


def format_table(summary: Result) -> list[str]:
    """Return a series as lines: a row for each system and metric, which ends with the exponent."""
    table = [f"\nscaling, {summary['name']}: {summary['over']}"]
    for name, metrics in summary["points"].items():
        for metric, pairs in metrics.items():
            values = "".join(f"{number:>9,}: {format_value(metric, value):<11}" for number, value in pairs)
            power = summary["exponents"][name].get(metric)
            grows = "" if power is None else f"  ~ n^{power:.2f}"
            table.append(f"{name:10}{COLUMNS[metric][0]:>11}{values}{grows}")
    return table + [f"  {text}" for text in summary["failures"]]
