"""Tests of the benchmark: it counts what arrives, the baseline sends the right bytes, and the report is correct."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks import __main__ as benchmark, connection_scenarios, load, report, scaling
from benchmarks.load_clients import TimedLoadClients
from benchmarks.measure import Job, Result, delay_quantiles
from benchmarks.scenes import BASELINE, OURS, OURS_TLS, SCENES, Goal, Scene
from benchmarks.soak import run_connects
from benchmarks.systems import SYSTEMS, RunningServer, System, run_server
from benchmarks.wire_formats import MARKER, TEXT_BYTES, WIRE_FORMATS, message_text
from hubbub.protocol import Said
from testing.waiting import TIMEOUT_SECONDS, eventually
from testing.wire_client import WireClient

TINY = Scene("tiny", "6 clients in 2 rooms", "paced", 6, rooms=2, per_second=100)


def job(server: RunningServer, **more: Any) -> Job:
    """Return a job with 6 clients."""
    return Job("", server.address, server.pid, "hubbub", max_pending=10, seconds=0.3, clients=6, **more)


def run_here(run: Any, name: str = OURS, **more: Any) -> Result:
    """Run a function of the load generator in this process."""
    with run_server(SYSTEMS[name]) as server:
        result: Result = run(job(server, **more))
        return result


@pytest.fixture(autouse=True)
def _short_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "WARM_UP_SECONDS", 0.1)
    monkeypatch.setattr(connection_scenarios, "MISSED_LINES", 200)


def test_a_message_has_one_marker_and_a_fixed_length() -> None:
    assert message_text().count(MARKER) == 1
    assert len(message_text(10**18)) == TEXT_BYTES


@pytest.mark.parametrize("name", [OURS, BASELINE])
def test_a_message_arrives_once_at_every_member_of_the_room(name: str) -> None:
    """The load generator counts exactly these deliveries, and the delays are short."""
    with (
        run_server(SYSTEMS[name]) as server,
        TimedLoadClients(server.address, WIRE_FORMATS["hubbub"]) as clients,
    ):
        clients.join_all(6, 2, 10, TIMEOUT_SECONDS)
        sender = next(client for client in clients.joined if client.room == 1)
        clients.send(sender, b"".join(message_text(time.time_ns()) + b"\n" for _ in range(100)))

        def all_arrived() -> bool:
            clients.poll(0.01)
            return clients.messages >= 300

        assert eventually(all_arrived)
        clients.poll(0.1)
    assert clients.messages == len(clients.delays) == 300
    assert 0 < min(clients.delays) <= max(clients.delays) < TIMEOUT_SECONDS * 1e9


def test_the_baseline_sends_as_many_bytes_as_our_server() -> None:
    sent = message_text(1).decode()
    with (
        run_server(SYSTEMS[BASELINE]) as server,
        WireClient(server.address, "c12 red") as one,
        WireClient(server.address, "c13 red"),
    ):
        one.send(sent)
        line = one.read_match()
    assert line.endswith(f" {sent}")
    assert len(line) + 1 == len(Said("lobby", 1_234_567, 1_763_804_400_123, "c12", "red", sent).encode())


def test_a_flood_is_measured_with_stalled_readers_and_churn() -> None:
    result = run_here(load.run_flood, flooders=1, stalled=2, churn=20)
    assert result["deliveries_per_second"] > 100
    assert result["left_per_second"] > 0
    assert result["dropped"] == 0


@pytest.mark.parametrize("name", [OURS, OURS_TLS])
def test_a_paced_scene_is_measured(name: str) -> None:
    """Without and with TLS, messages arrive in time."""
    result = run_here(load.run_paced, name, per_second=100, tls=name == OURS_TLS)
    assert result["arrived_share"] > 0.5
    assert 0 < result["delay_p50_ms"] <= result["delay_max_ms"]


def test_a_storm_is_measured() -> None:
    """All clients join, receive the message, and leave no thread."""
    result = run_here(connection_scenarios.run_storm)
    assert result["to_all_seconds"] < TIMEOUT_SECONDS
    assert result["leave_seconds"] < TIMEOUT_SECONDS
    assert result["threads_left"] == 0


def test_a_catch_up_is_measured() -> None:
    """All clients receive everything that they missed."""
    assert run_here(connection_scenarios.run_catch_up)["lines_per_second"] > 0


def test_visits_leave_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """A few visits with each ending."""
    assert run_connects(16, 14) == 0
    assert "flat" in capsys.readouterr().out


def test_a_scene_runs_in_processes_that_end() -> None:
    before = psutil.Process().children(recursive=True)
    result = benchmark.run_scene(TINY, OURS, 0.2)
    assert result["deliveries_per_second"] > 0
    assert psutil.Process().children(recursive=True) == before


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the row of the table where its figures would be."""
    monkeypatch.setitem(SYSTEMS, "ngircd", replace(SYSTEMS["ngircd"], find_program=lambda: None))
    summary = report.summarize(TINY, benchmark.run_in_turns(TINY, ["ngircd"], 1, 0.1))
    assert "ngircd             not installed" in report.format_table(summary)


def test_a_server_that_does_not_start_is_noted_with_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = System("broken", lambda *_: [sys.executable, "-c", "raise SystemExit('no luck')"])
    monkeypatch.setitem(SYSTEMS, "broken", broken)
    assert benchmark.run_scene(TINY, "broken", 0.1) == {"note": "did not start: no luck"}


def test_each_quantile_is_a_measured_delay() -> None:
    assert delay_quantiles([ms * 1_000_000 for ms in range(1_000, 0, -1)]) == {
        "delay_p50_ms": 500.0,
        "delay_p99_ms": 990.0,
        "delay_p99.9_ms": 999.0,
        "delay_max_ms": 1_000.0,
    }
    assert delay_quantiles([3_000_000])["delay_p50_ms"] == 3.0


def test_a_goal_compares_with_the_best_peer() -> None:
    """The ratio is the median of the runs; a peer that dropped clients or fell behind does not count."""
    results: report.Results = {
        OURS: [{"m": 40}, {"m": 50}, {"m": 90}],
        "ngircd": [{"m": 10}, {"m": 10}, {"m": 10}],
        "inspircd": [{"m": 99, "dropped": 3}] * 3,
        "irc": [{"m": 99, "arrived_share": 0.5}] * 3,
    }
    failures = {name: failure for name, runs in results.items() if (failure := report.failure_of(runs))}
    goal = report.evaluate_goal(Goal("m", 4, "peers"), results, failures)
    assert failures == {"inspircd": "dropped 3 clients."}
    assert (goal["against"], goal["value"], goal["met"]) == ("ngircd", 5, True)


def test_the_exponent_is_that_of_the_power_law() -> None:
    """One point has none."""
    assert scaling.exponent([(x, 3 * x**1.5) for x in (10, 100, 1_000)]) == pytest.approx(1.5)
    assert scaling.exponent([(10, 1)]) is None


def test_every_scene_can_run() -> None:
    """Its kind, systems and control exist, and so do the configurations of the peers."""
    for scene in SCENES.values():
        assert scene.kind in load.KINDS
        assert not scene.control or scene.control in SCENES
        assert set(scene.systems) <= set(SYSTEMS)
    for name in ("ngircd", "inspircd"):
        assert (Path(benchmark.__file__).parent / "peers" / f"{name}.conf.in").exists()
