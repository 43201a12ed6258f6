"""How fast the chat server is, and beside whom: `python3 -m benchmarks [SCENE …] [--short]`.

Each scene is played with our server, with a bare loop that moves the same bytes (the floor), and with the peers that
are installed, in turns, each time with a server of its own on a free port of this machine. The medians are printed, and
which goals they meet. Nothing is left running.
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
from benchmarks.scenes import SCENES, WITHOUT, Scene
from benchmarks.systems import ROOT, SYSTEMS, install_peers, last_line, raise_descriptor_limit, running

JOB_SECONDS = 150.0  # for one server and scene, beyond the time that is measured
RUNS, SECONDS = 5, 5.0
SHORT_RUNS, SHORT_SECONDS = 3, 1.5
SHORT_LIMIT_SECONDS = 540.0  # a scene that is behind its share of that is not played again
SCALING = "scaling"
OTHERS = "scaling, which is not among all; soak and connects, each alone"
NOT_IN_JOB = ("name", "about", "beside", "systems", "only_long", "big", "goals")


def play(scene: Scene, name: str, seconds: float) -> report.Result:
    """Play a scene once with the server `name`."""
    system = SYSTEMS[name]
    if not system.program():
        return {"note": "not installed"}
    if system.one_room and scene.rooms > 1:
        return {"note": "has one room only"}
    try:
        with running(system) as server:
            job = {key: value for key, value in asdict(scene).items() if key not in NOT_IN_JOB}
            job |= {"address": server.address, "pid": server.pid, "seconds": seconds}
            job |= {
                "dialect": system.dialect,
                "in_flight": system.in_flight,
                "prod": system.prod.decode(),
                "tls": system.tls,
            }
            return load(job, seconds + JOB_SECONDS)
    except RuntimeError as error:
        return {"note": str(error)}


def load(job: dict[str, object], seconds: float) -> report.Result:
    """Have the load generator do a job, and return its result. Raises RuntimeError if it has none in time."""
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(job)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        told, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no result within {seconds:.0f} s") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"the load generator failed: {last_line(errors)}")
    result: report.Result = json.loads(told)
    return result


def play_all(scene: Scene, names: list[str], runs: int, seconds: float, until: float = math.inf) -> report.Results:
    """Play a scene so many times with each server, in turns; once, and again only `until` a monotonic time."""
    turns = [(name, scene, name) for name in names]
    if scene.beside:
        turns += [(name + WITHOUT, SCENES[scene.beside], name) for name in names]
    results: report.Results = {label: [] for label, _, _ in turns}
    for run in range(runs):
        if run and time.monotonic() > until:
            break
        for label, played, name in turns:
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\033[K{scene.name}, run {run + 1} of {runs}: {label}")
            results[label].append(play(played, name, seconds))
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return results


Told = tuple[str, report.Result, list[str]]  # where in the document it belongs, what, and as lines


def play_scene(scene: Scene, given: argparse.Namespace, until: float) -> Told:
    """Play a scene and tell what it came to."""
    runs = 1 if given.short and scene.big else given.runs
    told = report.summary(scene, play_all(scene, names_for(scene, given), runs, given.seconds, until))
    return "scenes", told, report.lines(told)


def names_for(scene: Scene, given: argparse.Namespace) -> list[str]:
    """Return with which servers a scene is played."""
    return given.systems or [name for name in scene.systems if not given.short or name not in scene.only_long]


def time_limits(scenes: list[Scene], given: argparse.Namespace) -> list[float]:
    """Return until when each scene may be played again: for ever, in the short form as its share of the time allows."""
    if not given.short:
        return [math.inf] * len(scenes)
    turns = [len(names_for(scene, given)) * (2 if scene.beside else 1) * (1 if scene.big else 3) for scene in scenes]
    shares = itertools.accumulate(turns)
    return [time.monotonic() + SHORT_LIMIT_SECONDS * share / sum(turns) for share in shares]


def play_series(systems: list[str], runs: int, seconds: float) -> Iterator[Told]:
    """Play every series and tell what each came to."""
    for series in scaling.SERIES:
        played = {
            number: play_all(scene, [name for name in systems if scaling.may_play(name, scene)], runs, seconds)
            for number, scene in series.scenes
        }
        told = scaling.summary(series, played)
        yield "series", told, scaling.lines(told)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="python3 -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("scenes", nargs="*", metavar="SCENE", help=f"all, or of: {' '.join(SCENES)}; {OTHERS}")
    options.add_argument("--systems", help="names with commas between, of: " + " ".join(SYSTEMS))
    options.add_argument("--runs", type=int, help=f"of each scene and server ({RUNS})")
    options.add_argument("--seconds", type=float, help=f"that each run is measured ({SECONDS:g})")
    options.add_argument(
        "--short", action="store_true", help=f"up to {SHORT_RUNS} runs of {SHORT_SECONDS:g} s, in less than 10 minutes"
    )
    options.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    options.add_argument("--hours", type=float, default=1.0, help="that the scene soak lasts (1)")
    options.add_argument("--visits", type=int, default=soak.VISITS, help=f"of the scene connects ({soak.VISITS:,})")
    options.add_argument("--install-peers", action="store_true", help="install the peers that are on PyPI, and end")
    return options


def asked_for() -> argparse.Namespace:
    """Return what is asked for, complete and possible."""
    options = parser()
    given = options.parse_args()
    alone = given.scenes in (["soak"], ["connects"])
    given.scenes = given.scenes or list(SCENES)
    if unknown := [name for name in given.scenes if name not in (*SCENES, SCALING) and not alone]:
        options.error(f"there is no scene {unknown[0]}")
    given.systems = given.systems.split(",") if given.systems else []
    if unknown := [name for name in given.systems if name not in SYSTEMS]:
        options.error(f"there is no server {unknown[0]}")
    given.runs = given.runs or (SHORT_RUNS if given.short else RUNS)
    given.seconds = given.seconds or (SHORT_SECONDS if given.short else SECONDS)
    return given


def play_scenes(given: argparse.Namespace) -> None:
    """Play scenes and series, and print and write what they came to."""
    document = report.document(given.runs, given.seconds)
    scenes = [SCENES[name] for name in given.scenes if name != SCALING]
    limits = time_limits(scenes, given)
    tell: Iterator[Told] = (play_scene(scene, given, until) for scene, until in zip(scenes, limits, strict=True))
    if SCALING in given.scenes:
        tell = itertools.chain(tell, play_series(given.systems or list(scaling.SYSTEMS), given.runs, given.seconds))
    for key, told, lines in tell:
        document[key].append(told)
        print("\n".join(lines), flush=True)
        if given.json:
            given.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Do what is asked for; return the exit code."""
    given = asked_for()
    signal.signal(signal.SIGTERM, _end)
    raise_descriptor_limit()
    if given.install_peers:
        if failure := install_peers():
            print(failure)
        return 1 if failure else 0
    try:
        if given.scenes == ["soak"]:
            return soak.soak(given.hours)
        if given.scenes == ["connects"]:
            return soak.connects(given.visits)
        play_scenes(given)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
