"""The documents say what the code does."""

import ast
import functools
import re
from pathlib import Path

import pytest

from hubbub import protocol
from hubbub.client import options
from hubbub.client.commands import COMMANDS
from hubbub.server import options as server_options
from hubbub.server.access import limits
from hubbub.server.access import ownership as names
from hubbub.server.delivery import fanout as sender
from hubbub.server.network import attempts as tries
from testing.waiting import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_command_table_of_the_readme() -> None:
    """It is that of the client, word for word and in its order."""
    rows = re.findall(r"^\| `(/[^`]+)` \| (.+) \|$", README, re.MULTILINE)
    assert [(usage.replace("\\|", "|"), text) for usage, text in rows] == [
        (row.usage, row.help) for row in COMMANDS.values()
    ]


@pytest.mark.parametrize("module", [server_options, options])
def test_the_readme_names_every_option(module: object) -> None:
    """Nothing that the command line knows is missing."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")  # type: ignore[attr-defined]
    options = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', source)) - {"--version"}
    assert {option for option in options if f"`{option}`" not in README} == set()


def test_every_file_that_the_readme_names_is_there() -> None:
    """Whoever follows it finds what it promises."""
    named = re.findall(r"[`(]([a-z_]+(?:/[a-z_0-9]+)*\.(?:py|png|svg))[`)]", README + BENCHMARKS)
    assert {name for name in named if not (ROOT / name).exists()} == set()


@functools.cache
def functions(path: Path) -> set[str]:
    """Return the names of the functions of a file; none if it is not there."""
    if not path.exists():
        return set()
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_its_tests() -> None:
    """Each row of SECURITY.md that tells of an attack names tests, and all of them exist."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", SECURITY, re.MULTILINE)[1:]
    without = [promise for promise, _, tests in rows if promise != "---" and not re.search(r"::test_\w+`", tests)]
    assert without == []
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY)
    assert len(named) > len(rows) > 20
    assert {f"{file}::{name}" for file, name in named if name not in functions(ROOT / file)} == set()


def test_the_figures_of_the_readme() -> None:
    """What is promised in seconds, bytes and times is what the code does where nobody says otherwise."""
    made = limits.Limits()
    assert (made.handshake_seconds, made.naming_seconds, made.naming_bytes) == (10, 30, 8 * 1024)
    assert (made.ping_seconds, made.silence_seconds, sender.PROGRESS_SECONDS) == (45, 120, 120)
    assert (made.rooms_per_member, made.room_changes, made.name_changes) == (50, 60, 20)
    assert (tries.WRONG_TRIES, tries.TRIES_SECONDS) == (5, 60)
    assert (names.NAME_DAYS, names.NAMES_PER_OWNER, protocol.DURATION_SECONDS_MAX) == (90, 10, 365 * 86_400)
    assert made.loopback_exempt
