"""How each scene grows: the same scene with more clients, more rooms, more to say; and the exponents of that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.report import COLUMNS, Result, Results, median, note, shown
from benchmarks.scenes import CPU, DELIVERIES, MEMORY, OURS, P99, SCENES, Scene

SHARES = ("cpu_share", "load_cpu_share")  # of a core: whose is used up is where it ends
SYSTEMS = (OURS, "floor", "ngircd", "inspircd")
SIZES = (10, 100, 1_000, 10_000)
ROOMS = (1, 10, 100, 1_000)
LOADS = (100, 300, 1_000, 3_000, 10_000)
IRC_ROOM = 1_000  # clients; in a bigger channel joining takes an IRC server more than a minute


@dataclass(frozen=True, slots=True)
class Series:
    """Scenes that differ in one number, and what is read off them."""

    name: str
    over: str  # what the number is
    metrics: tuple[str, ...]
    scenes: tuple[tuple[int, Scene], ...]


def _of_sizes(scene: Scene, sizes: Sequence[int]) -> tuple[tuple[int, Scene], ...]:
    return tuple((size, replace(scene, clients=size, flooders=min(scene.flooders, size))) for size in sizes)


def _of_rooms(scene: Scene) -> tuple[tuple[int, Scene], ...]:
    return tuple((rooms, replace(scene, clients=10 * rooms, rooms=rooms)) for rooms in ROOMS)


SERIES = (
    Series("flood-room", "members of the room", (DELIVERIES, CPU, *SHARES), _of_sizes(SCENES["flood-100"], SIZES)),
    Series("flood-rooms", "rooms of 10", (DELIVERIES, CPU, *SHARES), _of_rooms(SCENES["rooms"])),
    Series(
        "paced-room",
        "members of the room, 50,000 deliveries/s",
        (CPU, P99, *SHARES),
        tuple((size, replace(SCENES["paced-100"], clients=size, per_second=50_000 // size)) for size in SIZES),
    ),
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


def may_play(name: str, scene: Scene) -> bool:
    """Return whether a server gets everybody in within reasonable time."""
    return name in {OURS, "floor"} or not scene.rooms or scene.clients // scene.rooms <= IRC_ROOM


def summary(series: Series, played: dict[int, Results]) -> Result:
    """Return what a series came to: for each server its points, notes, and the exponents."""
    points: dict[str, dict[str, list[tuple[int, float]]]] = {}
    notes: list[str] = []
    for number, results in played.items():
        for name, runs in results.items():
            if told := note(runs):
                notes.append(f"{name} at {number:,}: {told}")
                continue
            for metric in series.metrics:
                if (value := median(runs, metric)) is not None:
                    points.setdefault(name, {}).setdefault(metric, []).append((number, value))
    exponents = {
        name: {metric: exponent(pairs) for metric, pairs in metrics.items() if metric not in SHARES}
        for name, metrics in points.items()
    }
    return {"name": series.name, "over": series.over, "points": points, "exponents": exponents, "notes": notes}


def lines(told: Result) -> list[str]:
    """Return a series as a table: a row for each server and metric, and the exponent at its end."""
    table = [f"\nscaling, {told['name']}: {told['over']}"]
    for name, metrics in told["points"].items():
        for metric, pairs in metrics.items():
            values = "".join(f"{number:>9,}: {shown(metric, value):<11}" for number, value in pairs)
            power = told["exponents"][name].get(metric)
            grows = "" if power is None else f"  ~ n^{power:.2f}"
            table.append(f"{name:10}{COLUMNS[metric][0]:>11}{values}{grows}")
    return table + [f"  {text}" for text in told["notes"]]
