"""hubbub.server.options: what the server's command line accepts, and what it refuses."""

import errno
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hubbub import protocol
from hubbub.server.access.limits import Limits
from hubbub.server.backend import LocalBackend
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.options import build_parser, limits_of, open_backend
from testing.server import refused
from testing.waiting import ROOT

COMMAND = [sys.executable, str(ROOT / "chat_server.py")]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--port", "70000"], "choose one from 0 to 65535"),
        (["--port", "x"], "choose one from 0 to 65535"),
        (["--rate", "-1"], "lines per second"),
        (["--rate", "nan"], "lines per second"),
        (["--burst", "0"], "whole number"),
        (["--max-clients", "0"], "whole number"),
        (["--max-per-address", "none"], "whole number"),
        (["--operators", "bob,,carl"], "Choose 1-20 letters"),
        (["--operators", "server"], "the name server is reserved"),
        (["--host", "nowhere.invalid", "--port", "4242"], "cannot listen on nowhere.invalid:4242"),
        (["--host", "nowhere.invalid"], "; choose another with --host"),
        (["--host", "192.0.2.1"], f"{os.strerror(errno.EADDRNOTAVAIL)}; choose another with --host"),
        (["--log-file", "missing.txt/x.log"], "choose another with --log-file"),
        (["--prot", "1"], "unrecognized arguments: --prot"),
    ],
)
def test_a_bad_option(tmp_path: Path, options: list[str], reason: str) -> None:
    """One line names what is wrong; exit code 2."""
    (tmp_path / "missing.txt").write_text("a file, not a folder")
    (line,) = refused(*options, cwd=tmp_path).splitlines()
    assert reason in line


def test_a_bad_option_points_to_the_help(tmp_path: Path) -> None:
    """Instead of telling all options there are."""
    assert refused("--port", "x", cwd=tmp_path) == (
        "chat_server.py: argument --port: 'x' is not a port; choose one from 0 to 65535; see chat_server.py --help\n"
    )


def test_the_options_are_the_limits() -> None:
    """Each that bounds something reaches it, and without any the limits are the named ones."""
    given = [
        "--max-clients",
        "1",
        "--max-per-address",
        "2",
        "--max-unnamed",
        "3",
        "--max-rooms",
        "4",
        "--rate",
        "5",
        "--burst",
        "6",
        "--grace",
        "7",
    ]
    expected = Limits(
        max_clients=1, max_clients_per_address=2, max_unnamed=3, max_rooms=4, rate=5, burst=6, grace_seconds=7
    )
    assert limits_of(build_parser().parse_args(given)) == expected
    assert limits_of(build_parser().parse_args([])) == Limits()


@pytest.mark.parametrize(("option", "text"), [("--help", "--max-clients"), ("--version", protocol.__version__)])
def test_help_and_version(tmp_path: Path, option: str, text: str) -> None:
    """They answer on standard output."""
    run = subprocess.run([*COMMAND, option], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True)
    assert text in run.stdout


@pytest.mark.parametrize(("given", "synchronous"), [([], 1), (["--fsync"], 2)])
def test_fsync(tmp_path: Path, given: list[str], synchronous: int) -> None:
    """SQLite flushes every commit to the disk only with it: `synchronous` is NORMAL or FULL."""
    backend = open_backend(build_parser().parse_args(["--journal", str(tmp_path / "j.db"), *given]))
    assert isinstance(backend, LocalBackend)
    assert isinstance(backend.journal, SqliteJournal)
    with closing(backend.journal) as journal, journal._database.transaction() as writer:
        assert writer.execute("PRAGMA synchronous").fetchone() == (synchronous,)
