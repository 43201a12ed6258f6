"""What was measured, as medians, as goals, as a table and as JSON."""

import datetime
import os
import platform
import re
import statistics
import sys
from dataclasses import asdict
from typing import Any

from benchmarks.scenes import PEERS, Goal, Scene

Result = dict[str, Any]
Results = dict[str, list[Result]]

COLUMNS = {  # heading, unit divided by, digits
    "deliveries_per_second": ("deliver/s", 1, 0),
    "messages_per_second": ("messages/s", 1, 0),
    "bytes_per_second": ("MB/s", 1e6, 1),
    "kept_share": ("kept %", 0.01, 0),
    "cpu_us_per_delivery": ("CPU µs/d", 1, 3),
    "redis_us_per_message": ("Redis µs/m", 1, 1),
    "delay_p50_ms": ("p50 ms", 1, 2),
    "delay_p99_ms": ("p99 ms", 1, 2),
    "delay_p99.9_ms": ("p99.9", 1, 2),
    "delay_max_ms": ("max ms", 1, 1),
    "memory_bytes_per_client": ("KB/client", 1e3, 1),
    "join_seconds": ("join s", 1, 2),
    "to_all_seconds": ("to all s", 1, 3),
    "leave_seconds": ("leave s", 1, 2),
    "threads_left": ("threads +", 1, 0),
    "lines_per_second": ("lines/s", 1, 0),
    "left_per_second": ("churn/s", 1, 0),
    "cpu_share": ("CPU %", 0.01, 1),
    "load_cpu_share": ("load %", 0.01, 0),
    "late_ms": ("late ms", 1, 0),
}
WIDTH = 11
KEPT = 0.95  # of what is said; a peer that delivers less is behind, and no measure


def median(runs: list[Result], metric: str) -> float | None:
    """Return the median of a metric, None where no run has it."""
    values = [run[metric] for run in runs if run.get(metric) is not None]
    return statistics.median(values) if values else None


def note(runs: list[Result]) -> str:
    """Return what kept a server from playing the scene, the first time; nothing if nothing did."""
    for run in runs:
        if run.get("note"):
            return str(run["note"])
        if run.get("dropped"):
            return f"dropped {run['dropped']} clients. {run.get('complaint', '')}".strip()
        if run.get("deliveries_per_second") == 0:
            return f"delivered nothing. {run.get('complaint', '')}".strip()
    return ""


def summary(scene: Scene, results: Results) -> Result:
    """Return a scene's medians, notes and goals."""
    medians = {name: {metric: median(runs, metric) for metric in COLUMNS} for name, runs in results.items()}
    notes = {name: told for name, runs in results.items() if (told := note(runs))}
    return {
        "scene": scene.name,
        "about": scene.about,
        "medians": medians,
        "notes": notes,
        "goals": [reached(goal, results, notes) for goal in scene.goals if goal.subject in results],
        "runs": results,
    }


def reached(goal: Goal, results: Results, notes: dict[str, str]) -> Result:
    """Return how far ours is, as a multiple of what it is held against: the median of the runs' own ratios."""
    able = {name: runs for name, runs in results.items() if name not in notes}
    rival = _rival(goal, able)
    told: Result = asdict(goal) | {"against": rival or goal.against, "value": None, "met": None}
    if goal.subject not in able or (goal.against and rival is None):
        return told
    if rival is None:
        value = median(able[goal.subject], goal.metric)
    else:
        pairs = zip(able[goal.subject], able[rival], strict=True)
        value = statistics.median(ours[goal.metric] / other[goal.metric] for ours, other in pairs)
    if value is not None and goal.factor is not None:
        told["met"] = value <= goal.factor if goal.at_most else value >= goal.factor
    return told | {"value": value}


def _rival(goal: Goal, able: Results) -> str | None:
    """Return the name of what a goal is held against, None if it is not there."""
    if goal.against != "peers":
        return goal.against if goal.against in able else None
    peers = {name: able[name] for name in PEERS if name in able and (median(able[name], "kept_share") or 1.0) > KEPT}
    medians = {name: value for name, runs in peers.items() if (value := median(runs, goal.metric))}
    if not medians:
        return None
    return min(medians, key=medians.__getitem__) if goal.at_most else max(medians, key=medians.__getitem__)


def lines(told: Result) -> list[str]:
    """Return a scene's table, and its goals."""
    columns = [metric for metric in COLUMNS if any(row[metric] is not None for row in told["medians"].values())]
    head = "".join(f"{COLUMNS[metric][0]:>{WIDTH}}" for metric in columns)
    runs = min(map(len, told["runs"].values()))
    table = [f"\n{told['scene']}: {told['about']} ({runs} runs)", f"{'':18}{head}"]
    for name, medians in told["medians"].items():
        if name in told["notes"]:
            table.append(f"{name:18} {told['notes'][name]}")
        else:
            table.append(f"{name:18}" + "".join(f"{shown(metric, medians[metric]):>{WIDTH}}" for metric in columns))
    return table + [_goal_line(goal) for goal in told["goals"]]


def shown(metric: str, value: float | None) -> str:
    """Return a value in the unit and with the digits of its column."""
    _, unit, digits = COLUMNS[metric]
    return "-" if value is None else f"{value / unit:,.{digits}f}"


def _goal_line(goal: Result) -> str:
    heading, unit, _ = COLUMNS[goal["metric"]]
    scale = 1.0 if goal["against"] else unit
    times = f" times {goal['against']}" if goal["against"] else ""
    value = "not measured" if goal["value"] is None else f"{goal['value'] / scale:,.2f}"
    if goal["factor"] is None:
        return f"  {heading} of {goal['subject']}, in{times}: {value}"
    bound = f"{'at most' if goal['at_most'] else 'at least'} {goal['factor'] / scale:,g}"
    verdict = {None: "?", True: "met", False: "MISSED"}[goal["met"]]
    return f"  goal {verdict:6}  {heading} {bound}{times}: {value}"


def document(runs: int, seconds: float) -> Result:
    """Return where and how it is measured, with room for what is."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": re.sub(r" --json[ =]\S+", "", " ".join(["python3 -m benchmarks", *sys.argv[1:]])),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "runs": runs,
        "seconds": seconds,
        "scenes": [],
        "series": [],
    }
