"""The benchmark: it counts what arrives, the floor sends what it should, and what is said of it is true."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks import __main__ as benchmark
from benchmarks import connection_scenarios as mass
from benchmarks import load, report, scaling
from benchmarks.load_clients import TimedCrowd
from benchmarks.measure import Job, Result, delays
from benchmarks.scenes import FLOOR, OURS, OURS_TLS, SCENES, Goal, Scene
from benchmarks.soak import connects
from benchmarks.systems import SYSTEMS, Running, System, running
from benchmarks.wire_formats import DIALECTS, MARK, TEXT_BYTES, text
from hubbub.protocol import Said
from testing.waiting import TIMEOUT_SECONDS, eventually
from testing.wire_client import WireClient

TINY = Scene("tiny", "6 in 2 rooms", "paced", 6, rooms=2, per_second=100)


def job(server: Running, **more: Any) -> Job:
    """Return a scene of 6."""
    return Job("", server.address, server.pid, "ours", in_flight=10, seconds=0.3, clients=6, **more)


def played(play: Any, name: str = OURS, **more: Any) -> Result:
    """Play a scene of 6 here."""
    with running(SYSTEMS[name]) as server:
        result: Result = play(job(server, **more))
        return result


@pytest.fixture(autouse=True)
def _in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "WARM_UP_SECONDS", 0.1)
    monkeypatch.setattr(mass, "PAST_LINES", 200)


def test_a_message_carries_one_mark() -> None:
    """And it is as long as it should be."""
    assert text().count(MARK) == 1
    assert len(text(10**18)) == TEXT_BYTES


@pytest.mark.parametrize("name", [OURS, FLOOR])
def test_what_is_said_arrives_once_at_everybody_in_the_room(name: str) -> None:
    """The load generator counts just that, and the delay is a short time."""
    with running(SYSTEMS[name]) as server, TimedCrowd(server.address, DIALECTS["ours"]) as crowd:
        crowd.enter(6, 2, 10, TIMEOUT_SECONDS)
        speaker = next(client for client in crowd.inside if client.room == 1)
        crowd.say(speaker, b"".join(text(time.time_ns()) + b"\n" for _ in range(100)))

        def heard() -> bool:
            crowd.pump(0.01)
            return crowd.messages >= 300

        assert eventually(heard)
        crowd.pump(0.1)
    assert crowd.messages == len(crowd.delays) == 300
    assert 0 < min(crowd.delays) <= max(crowd.delays) < TIMEOUT_SECONDS * 1e9


def test_the_floor_sends_as_many_bytes_as_our_server() -> None:
    """To everybody, with the line as it was said."""
    said = text(1).decode()
    with (
        running(SYSTEMS[FLOOR]) as server,
        WireClient(server.address, "c12 red") as one,
        WireClient(server.address, "c13 red"),
    ):
        one.send(said)
        line = one.read_match()
    assert line.endswith(f" {said}")
    assert len(line) + 1 == len(Said("lobby", 1_234_567, 1_763_804_400_123, "c12", "red", said).encode())


def test_a_flood_is_measured() -> None:
    """With stalled readers and churn beside it, and every message counted at those who read."""
    result = played(load.flood, flooders=1, stalled=2, churn=20)
    assert result["deliveries_per_second"] > 100
    assert result["left_per_second"] > 0
    assert result["dropped"] == 0


@pytest.mark.parametrize("name", [OURS, OURS_TLS])
def test_paced_talk_is_measured(name: str) -> None:
    """Without and with TLS: what is said arrives, and in time."""
    result = played(load.paced, name, per_second=100, tls=name == OURS_TLS)
    assert result["kept_share"] > 0.5
    assert 0 < result["delay_p50_ms"] <= result["delay_max_ms"]


def test_a_storm_is_measured() -> None:
    """All of them are in, hear the message, and are gone with their threads."""
    result = played(mass.storm)
    assert result["to_all_seconds"] < TIMEOUT_SECONDS
    assert result["leave_seconds"] < TIMEOUT_SECONDS
    assert result["threads_left"] == 0


def test_coming_back_is_measured() -> None:
    """Everybody gets everything that he missed."""
    assert played(mass.catch_up)["lines_per_second"] > 0


def test_visits_leave_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """In a few visits of each manner."""
    assert connects(16, 14) == 0
    assert "flat" in capsys.readouterr().out


def test_a_scene_in_processes_of_its_own() -> None:
    """There is a result, and no process is left."""
    before = psutil.Process().children(recursive=True)
    result = benchmark.play(TINY, OURS, 0.2)
    assert result["deliveries_per_second"] > 0
    assert psutil.Process().children(recursive=True) == before


def test_who_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the row where the figures would be."""
    monkeypatch.setitem(SYSTEMS, "ngircd", replace(SYSTEMS["ngircd"], program=lambda: None))
    told = report.summary(TINY, benchmark.play_all(TINY, ["ngircd"], 1, 0.1))
    assert "ngircd             not installed" in report.lines(told)


def test_who_does_not_start_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the last line that he wrote."""
    broken = System("broken", lambda *_: [sys.executable, "-c", "raise SystemExit('no luck')"])
    monkeypatch.setitem(SYSTEMS, "broken", broken)
    assert benchmark.play(TINY, "broken", 0.1) == {"note": "did not start: no luck"}


def test_the_quantiles() -> None:
    """Each is a delay that was measured."""
    assert delays([ms * 1_000_000 for ms in range(1_000, 0, -1)]) == {
        "delay_p50_ms": 500.0,
        "delay_p99_ms": 990.0,
        "delay_p99.9_ms": 999.0,
        "delay_max_ms": 1_000.0,
    }
    assert delays([3_000_000])["delay_p50_ms"] == 3.0


def test_a_goal_is_held_against_the_best_peer() -> None:
    """The ratio is the median of the runs'; who threw clients out or fell behind is no peer."""
    results: report.Results = {
        OURS: [{"m": 40}, {"m": 50}, {"m": 90}],
        "ngircd": [{"m": 10}, {"m": 10}, {"m": 10}],
        "inspircd": [{"m": 99, "dropped": 3}] * 3,
        "irc": [{"m": 99, "kept_share": 0.5}] * 3,
    }
    notes = {name: told for name, runs in results.items() if (told := report.note(runs))}
    goal = report.reached(Goal("m", 4, "peers"), results, notes)
    assert notes == {"inspircd": "dropped 3 clients."}
    assert (goal["against"], goal["value"], goal["met"]) == ("ngircd", 5, True)


def test_the_exponent() -> None:
    """It is that of the power law, and there is none of one point."""
    assert scaling.exponent([(x, 3 * x**1.5) for x in (10, 100, 1_000)]) == pytest.approx(1.5)
    assert scaling.exponent([(10, 1)]) is None


def test_every_scene_can_be_played() -> None:
    """Its kind, its servers and what it is beside exist, and so do the configurations of the peers."""
    for scene in SCENES.values():
        assert scene.kind in load.KINDS
        assert not scene.beside or scene.beside in SCENES
        assert set(scene.systems) <= set(SYSTEMS)
    for name in ("ngircd", "inspircd"):
        assert (Path(benchmark.__file__).parent / "peers" / f"{name}.conf.in").exists()
