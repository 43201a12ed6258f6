"""The results of scenes: medians, goals, a table, and a document for JSON."""

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

COLUMNS = {  # heading, divisor, digits
    "deliveries_per_second": ("deliver/s", 1, 0),
    "messages_per_second": ("messages/s", 1, 0),
    "bytes_per_second": ("MB/s", 1e6, 1),
    "arrived_share": ("arrived %", 0.01, 0),
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
MIN_ARRIVED_SHARE = 0.95  # of the messages; a peer that delivers less is overloaded and not compared with


def median(runs: list[Result], metric: str) -> float | None:
    """Return the median of a metric, None if no run has it."""
    values = [run[metric] for run in runs if run.get(metric) is not None]
    return statistics.median(values) if values else None


def failure_of(runs: list[Result]) -> str:
    """Return why a system could not run the scene, empty if it could."""
    for run in runs:
        if run.get("note"):
            return str(run["note"])
        if run.get("dropped"):
            return f"dropped {run['dropped']} clients. {run.get('refusal', '')}".strip()
        if run.get("deliveries_per_second") == 0:
            return f"delivered nothing. {run.get('refusal', '')}".strip()
    return ""


def summarize(scene: Scene, results: Results) -> Result:
    """Return the medians, failures and goals of a scene."""
    medians = {name: {metric: median(runs, metric) for metric in COLUMNS} for name, runs in results.items()}
    failures = {name: failure for name, runs in results.items() if (failure := failure_of(runs))}
    return {
        "scene": scene.name,
        "description": scene.description,
        "medians": medians,
        "failures": failures,
        "goals": [evaluate_goal(goal, results, failures) for goal in scene.goals if goal.subject in results],
        "runs": results,
    }


def evaluate_goal(goal: Goal, results: Results, failures: dict[str, str]) -> Result:
    """Return the value of a goal, the median of the ratios of the runs, and whether it is met."""
    measured = {name: runs for name, runs in results.items() if name not in failures}
    rival = _rival(goal, measured)
    evaluated: Result = asdict(goal) | {"against": rival or goal.against, "value": None, "met": None}
    if goal.subject not in measured or (goal.against and rival is None):
        return evaluated
    if rival is None:
        value = median(measured[goal.subject], goal.metric)
    else:
        pairs = zip(measured[goal.subject], measured[rival], strict=True)
        value = statistics.median(ours[goal.metric] / other[goal.metric] for ours, other in pairs)
    if value is not None and goal.factor is not None:
        evaluated["met"] = value <= goal.factor if goal.at_most else value >= goal.factor
    return evaluated | {"value": value}


def _rival(goal: Goal, measured: Results) -> str | None:
    """Return the system that a goal is compared with, the best one of the peers, None if it was not measured."""
    if goal.against != "peers":
        return goal.against if goal.against in measured else None
    peers = {
        name: measured[name]
        for name in PEERS
        if name in measured and (median(measured[name], "arrived_share") or 1.0) > MIN_ARRIVED_SHARE
    }
    medians = {name: value for name, runs in peers.items() if (value := median(runs, goal.metric))}
    if not medians:
        return None
    return min(medians, key=medians.__getitem__) if goal.at_most else max(medians, key=medians.__getitem__)


def format_table(summary: Result) -> list[str]:
    """Return a scene's table and its goals as lines."""
    columns = [metric for metric in COLUMNS if any(row[metric] is not None for row in summary["medians"].values())]
    head = "".join(f"{COLUMNS[metric][0]:>{WIDTH}}" for metric in columns)
    runs = min(map(len, summary["runs"].values()))
    table = [f"\n{summary['scene']}: {summary['description']} ({runs} runs)", f"{'':18}{head}"]
    for name, medians in summary["medians"].items():
        if name in summary["failures"]:
            table.append(f"{name:18} {summary['failures'][name]}")
        else:
            cells = (f"{format_value(metric, medians[metric]):>{WIDTH}}" for metric in columns)
            table.append(f"{name:18}" + "".join(cells))
    return table + [_format_goal(goal) for goal in summary["goals"]]


def format_value(metric: str, value: float | None) -> str:
    """Return a value in the unit and with the digits of its column."""
    _, unit, digits = COLUMNS[metric]
    return "-" if value is None else f"{value / unit:,.{digits}f}"


def _format_goal(goal: Result) -> str:
    heading, unit, _ = COLUMNS[goal["metric"]]
    scale = 1.0 if goal["against"] else unit
    times = f" times {goal['against']}" if goal["against"] else ""
    value = "not measured" if goal["value"] is None else f"{goal['value'] / scale:,.2f}"
    if goal["factor"] is None:
        return f"  {heading} of {goal['subject']}, in{times}: {value}"
    bound = f"{'at most' if goal['at_most'] else 'at least'} {goal['factor'] / scale:,g}"
    verdict = {None: "?", True: "met", False: "MISSED"}[goal["met"]]
    return f"  goal {verdict:6}  {heading} {bound}{times}: {value}"


def new_document(runs: int, seconds: float) -> Result:
    """Return the date, the machine and the command of the measurement, with empty lists for its results."""
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
