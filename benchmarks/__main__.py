"""How fast the chat server is, and beside whom: `python3 -m benchmarks [SCENE …] [--short]`.

Each scene is played with our server, with a bare loop that moves the same bytes (the floor), and with the peers that
are installed, in turns, each time with a server of its own on a free port of this machine. The medians are printed, and
which goals they meet. Nothing is left running.
"""

import argparse
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from benchmarks import report, soak
from benchmarks.scenes import SCENES, WITHOUT, Scene
from benchmarks.systems import ROOT, SYSTEMS, install_peers, last_line, raise_descriptor_limit, running

JOB_SECONDS = 150.0  # for one server and scene, beyond the time that is measured
RUNS, SECONDS = 5, 5.0
SHORT_RUNS, SHORT_SECONDS = 3, 2.0
NOT_IN_JOB = ("name", "about", "beside", "systems", "goals")


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


def play_all(scene: Scene, names: list[str], runs: int, seconds: float) -> report.Results:
    """Play a scene so many times with each server, in turns."""
    turns = [(name, scene, name) for name in names]
    if scene.beside:
        turns += [(name + WITHOUT, SCENES[scene.beside], name) for name in names]
    results: report.Results = {label: [] for label, _, _ in turns}
    for run in range(runs):
        for label, played, name in turns:
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\033[K{scene.name}, run {run + 1} of {runs}: {label}")
            results[label].append(play(played, name, seconds))
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    return results


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    options = argparse.ArgumentParser(
        prog="python3 -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("scenes", nargs="*", metavar="SCENE", help=f"all, or of: {' '.join(SCENES)}")
    options.add_argument("--systems", help="names with commas between, of: " + " ".join(SYSTEMS))
    options.add_argument("--runs", type=int, help=f"of each scene and server ({RUNS})")
    options.add_argument("--seconds", type=float, help=f"that each run is measured ({SECONDS:g})")
    options.add_argument("--short", action="store_true", help=f"{SHORT_RUNS} runs of {SHORT_SECONDS:g} s")
    options.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    options.add_argument("--hours", type=float, default=1.0, help="that the scene soak lasts (1)")
    options.add_argument("--visits", type=int, default=soak.VISITS, help=f"of the scene connects ({soak.VISITS:,})")
    options.add_argument("--install-peers", action="store_true", help="install the peers that are on PyPI, and end")
    return options


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Play what is asked for."""
    asked = parser()
    given = asked.parse_args()
    if given.install_peers:
        if failure := install_peers():
            print(failure)
        return 1 if failure else 0
    signal.signal(signal.SIGTERM, _end)
    raise_descriptor_limit()
    if given.scenes == ["soak"]:
        return soak.soak(given.hours)
    if given.scenes == ["connects"]:
        return soak.connects(given.visits)
    names = given.scenes or list(SCENES)
    if unknown := [name for name in names if name not in SCENES]:
        asked.error(f"there is no scene {unknown[0]}")
    systems = given.systems.split(",") if given.systems else []
    if unknown := [name for name in systems if name not in SYSTEMS]:
        asked.error(f"there is no server {unknown[0]}")
    runs = given.runs or (SHORT_RUNS if given.short else RUNS)
    seconds = given.seconds or (SHORT_SECONDS if given.short else SECONDS)
    told = []
    for name in names:
        scene = SCENES[name]
        results = play_all(scene, systems or list(scene.systems), runs, seconds)
        told.append(report.summary(scene, results))
        print("\n".join(report.lines(told[-1])), flush=True)
        if given.json:
            given.json.write_text(json.dumps(report.document(told, runs, seconds), indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
