"""Measure the chat server beside other servers: `python3 -m benchmarks [SCENE …] [--short]`.

Each scene runs with our server, with the baseline (a bare loop that moves the same bytes), and with the peers that are
installed, in turns, each time with a new server on a free port of this machine. The medians are printed, and which
goals they meet. All processes are stopped at the end.
"""

import argparse
import itertools
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from benchmarks import report, scaling, soak
from benchmarks.scenes import CONTROL_SUFFIX, SCENES, Scene
from benchmarks.systems import ROOT, SYSTEMS, install_peers, last_line, raise_descriptor_limit, run_server

JOB_SECONDS = 150.0  # for one system and scene, beyond the time that is measured
RUNS, SECONDS = 5, 5.0
SHORT_RUNS, SHORT_SECONDS = 3, 1.5
SHORT_LIMIT_SECONDS = 540.0  # a scene that is behind its share of that does not run again
SCALING = "scaling"
OTHER_SCENES = "scaling, which is not among all; soak and connects, each alone"
NOT_IN_JOB = ("name", "description", "control", "systems", "only_long", "one_short_run", "goals")

Entry = tuple[str, report.Result, list[str]]  # the list of the document that it belongs to, the summary, its lines


def run_scene(scene: Scene, name: str, seconds: float) -> report.Result:
    """Run a scene once with the system `name`."""
    system = SYSTEMS[name]
    if not system.find_program():
        return {"note": "not installed"}
    if system.single_room and scene.rooms > 1:
        return {"note": "has one room only"}
    try:
        with run_server(system) as server:
            job = {key: value for key, value in asdict(scene).items() if key not in NOT_IN_JOB}
            job |= {"address": server.address, "pid": server.pid, "seconds": seconds, "tls": system.tls}
            job |= {"wire_format": system.wire_format, "max_pending": system.max_pending}
            job |= {"keep_awake": system.keep_awake.decode()}
            return run_load_generator(job, seconds + JOB_SECONDS)
    except RuntimeError as error:
        return {"note": str(error)}


def run_load_generator(job: dict[str, object], seconds: float) -> report.Result:
    """Run a job in the load generator and return its result. Raises RuntimeError if there is none in time."""
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(job)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no result within {seconds:.0f} s") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"the load generator failed: {last_line(errors)}")
    result: report.Result = json.loads(output)
    return result


def run_in_turns(scene: Scene, names: list[str], runs: int, seconds: float, until: float = math.inf) -> report.Results:
    """Run a scene `runs` times with each system, in turns; no new turn starts after the monotonic time `until`."""
    turns = [(name, scene, name) for name in names]
    if scene.control:
        turns += [(name + CONTROL_SUFFIX, SCENES[scene.control], name) for name in names]
    results: report.Results = {label: [] for label, _, _ in turns}
    for run in range(runs):
        if run and time.monotonic() > until:
            break
        for label, scene_of_turn, name in turns:
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\033[K{scene.name}, run {run + 1} of {runs}: {label}")
            results[label].append(run_scene(scene_of_turn, name, seconds))
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return results


def measure_scene(scene: Scene, options: argparse.Namespace, until: float) -> Entry:
    """Run a scene with all systems and return its entry."""
    runs = 1 if options.short and scene.one_short_run else options.runs
    results = run_in_turns(scene, systems_for(scene, options), runs, options.seconds, until)
    summary = report.summarize(scene, results)
    return "scenes", summary, report.format_table(summary)


def systems_for(scene: Scene, options: argparse.Namespace) -> list[str]:
    """Return the systems that a scene runs with."""
    return options.systems or [name for name in scene.systems if not options.short or name not in scene.only_long]


def time_limits(scenes: list[Scene], options: argparse.Namespace) -> list[float]:
    """Return the time up to which each scene may start again: with --short its share of the time, else no limit."""
    if not options.short:
        return [math.inf] * len(scenes)
    turns = [
        len(systems_for(scene, options)) * (2 if scene.control else 1) * (1 if scene.one_short_run else 3)
        for scene in scenes
    ]
    shares = itertools.accumulate(turns)
    return [time.monotonic() + SHORT_LIMIT_SECONDS * share / sum(turns) for share in shares]


def measure_series(systems: list[str], runs: int, seconds: float) -> Iterator[Entry]:
    """Run every scaling series and yield its entry."""
    for series in scaling.SERIES:
        results = {
            number: run_in_turns(scene, [name for name in systems if scaling.can_run(name, scene)], runs, seconds)
            for number, scene in series.scenes
        }
        summary = scaling.summarize(series, results)
        yield "series", summary, scaling.format_table(summary)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"all, or of: {' '.join(SCENES)}; {OTHER_SCENES}")
    parser.add_argument("--systems", help="names with commas between, of: " + " ".join(SYSTEMS))
    parser.add_argument("--runs", type=int, help=f"of each scene and system ({RUNS})")
    parser.add_argument("--seconds", type=float, help=f"measured in each run ({SECONDS:g})")
    parser.add_argument(
        "--short", action="store_true", help=f"up to {SHORT_RUNS} runs of {SHORT_SECONDS:g} s, in less than 10 minutes"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to FILE, too")
    parser.add_argument("--hours", type=float, default=1.0, help="duration of the scene soak (1)")
    parser.add_argument("--visits", type=int, default=soak.VISITS, help=f"of the scene connects ({soak.VISITS:,})")
    parser.add_argument("--install-peers", action="store_true", help="install the peers from PyPI, and exit")
    return parser


def parse_arguments() -> argparse.Namespace:
    """Return the arguments with their defaults; exit with an error if a scene or a system does not exist."""
    parser = make_parser()
    options = parser.parse_args()
    alone = options.scenes in (["soak"], ["connects"])
    options.scenes = options.scenes or list(SCENES)
    if unknown := [name for name in options.scenes if name not in (*SCENES, SCALING) and not alone]:
        parser.error(f"there is no scene {unknown[0]}")
    options.systems = options.systems.split(",") if options.systems else []
    if unknown := [name for name in options.systems if name not in SYSTEMS]:
        parser.error(f"there is no system {unknown[0]}")
    options.runs = options.runs or (SHORT_RUNS if options.short else RUNS)
    options.seconds = options.seconds or (SHORT_SECONDS if options.short else SECONDS)
    return options


def measure_all(options: argparse.Namespace) -> None:
    """Run scenes and series; print each result, and write it to the JSON file, when it is there."""
    document = report.new_document(options.runs, options.seconds)
    scenes = [SCENES[name] for name in options.scenes if name != SCALING]
    limits = time_limits(scenes, options)
    entries: Iterator[Entry] = (
        measure_scene(scene, options, until) for scene, until in zip(scenes, limits, strict=True)
    )
    if SCALING in options.scenes:
        systems = options.systems or list(scaling.SYSTEMS)
        entries = itertools.chain(entries, measure_series(systems, options.runs, options.seconds))
    for key, summary, lines in entries:
        document[key].append(summary)
        print("\n".join(lines), flush=True)
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _exit_on_signal(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, _exit_on_signal)
    raise_descriptor_limit()
    if options.install_peers:
        if failure := install_peers():
            print(failure)
        return 1 if failure else 0
    try:
        if options.scenes == ["soak"]:
            return soak.run_soak(options.hours)
        if options.scenes == ["connects"]:
            return soak.run_connects(options.visits)
        measure_all(options)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
