"""The documents say what the code does."""

import ast
import contextlib
import functools
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hubbub import protocol
from hubbub.client import commands, options as client_options
from hubbub.client.network import identity
from hubbub.client.output import json_lines
from hubbub.server import options as server_options
from hubbub.server.access import limits, ownership
from hubbub.server.delivery import slow_consumers
from hubbub.server.network import admission
from testing.proofs import make_prove_command
from testing.waiting import ROOT

DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
README_LINES = 150


def read(path: str) -> str:
    """Return the text of a document."""
    return (ROOT / path).read_text(encoding="utf-8")


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of every row of every table, without the rows of dashes."""
    rows = re.findall(r"^\| (.*) \|$", text.replace("| |", "|  |"), re.MULTILINE)
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)] for row in rows if "---" not in row
    ]


def relative(paths: Sequence[Path]) -> list[str]:
    """Return paths as they are named in the documents; pytest shows them as the names of tests."""
    return [str(path.relative_to(ROOT)) for path in paths]


def test_the_readme_is_short() -> None:
    """Everything else is in docs/."""
    assert len(read("README.md").splitlines()) <= README_LINES


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    """What is measured again is changed in both."""
    section = read("README.md").partition("## How fast")[2].partition("\n## ")[0]
    figures = set(re.findall(r"\d+\.\d+", section))
    table = set(re.findall(r"\d+\.\d+", read("docs/benchmarks.md")))
    assert len(figures) >= 3
    assert figures <= table


# --------------------------------------------------------------------------------------------------- links and files


def slug(heading: str) -> str:
    """Return the anchor of a heading, as web sites for repositories make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document."""
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)}


@pytest.mark.parametrize("document", relative(DOCS))
def test_every_link_leads_somewhere(document: str) -> None:
    """Each file that a link names exists, and so does the heading."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", read(document)):
        file, _, anchor = target.partition("#")
        path = (ROOT / document).parent / file if file else ROOT / document
        if "://" not in target and (not path.exists() or (anchor and anchor not in anchors(path))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("document", relative(DOCS))
def test_every_file_that_is_named_exists(document: str) -> None:
    """A path between backticks is one from the root of the repository."""
    named = re.findall(r"`([\w.]+(?:/[\w.]+)+/?|\w+\.(?:py|md|toml))(?:::\w+)?`", read(document))
    assert sorted({name for name in named if not (ROOT / name).exists()}) == []


# ----------------------------------------------------------------------------------------------- options and commands


def help_of(parse: Callable[[list[str]], object]) -> dict[str, str]:
    """Return what a program's `--help` says of each of its options."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit):
        parse(["--help"])
    parts = re.split(r"^  (?:-h, )?(--[a-z-]+)", shown.getvalue().partition("\noptions:\n")[2], flags=re.MULTILINE)
    return {option: " ".join(text.split()) for option, text in zip(parts[1::2], parts[2::2], strict=True)}


SERVER_OPTIONS = help_of(lambda argv: server_options.build_parser().parse_args(argv))
CLIENT_OPTIONS = help_of(client_options.parse_options)


@pytest.mark.parametrize(
    ("document", "options"), [("docs/server.md", SERVER_OPTIONS), ("docs/client.md", CLIENT_OPTIONS)]
)
def test_the_options_are_those_of_the_program(document: str, options: dict[str, str]) -> None:
    """Every option of `--help` has a row with its default, and no row has an option that does not exist."""
    rows = {cells[0].strip("`"): cells[1] for cells in rows_of(read(document)) if cells[0].startswith("`--")}
    assert set(rows) == set(options)
    for option, default in rows.items():
        if number := re.fullmatch(r"`(\d[\d.]*)`", default):
            assert re.search(rf"\b{re.escape(number[1])}\b", options[option]), option


@pytest.mark.parametrize("document", relative(DOCS))
def test_no_command_line_uses_an_unknown_option(document: str) -> None:
    """What a reader copies works."""
    programs = {"chat_server.py": SERVER_OPTIONS, "hubbub-server": SERVER_OPTIONS, "chat_client.py": CLIENT_OPTIONS}
    programs["hubbub"] = CLIENT_OPTIONS
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", read(document), re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    for command in re.split(r"\n|&&|\|", blocks):
        words = command.partition("#")[0].split()
        for program, options in programs.items():
            if any(word.rpartition("/")[2] == program for word in words):
                assert {word for word in words if word.startswith("--")} <= set(options), command


def test_the_commands_are_those_of_the_client() -> None:
    """The table has the words of `/help`, in their order."""
    rows = [cells for cells in rows_of(read("docs/client.md")) if cells[0].startswith("`/")]
    assert [(usage.strip("`"), text) for usage, text in rows] == [
        (row.usage, row.help) for row in commands.COMMANDS.values()
    ]


def test_the_readme_shows_existing_commands() -> None:
    """The README has a choice of them, in its own words."""
    usages = {row.usage for row in commands.COMMANDS.values()}
    shown = {usage for cells in rows_of(read("README.md")) for usage in re.findall(r"`(/[^`]+)`", cells[0])}
    assert shown <= usages


# --------------------------------------------------------------------------------------------------------- protocol


def test_the_lines_of_the_protocol() -> None:
    """The two tables have every command and every event, with as many fields as they have."""
    from_client, from_server = re.split("^## From the server$", read("docs/protocol.md"), flags=re.MULTILINE)
    usages = [cells[0].strip("`") for cells in rows_of(from_client) if cells[0].startswith("`/")]
    assert sorted(usages) == sorted(row.usage for row in protocol.COMMANDS.values())
    lines = [cells[0].strip("`/").split() for cells in rows_of(from_server) if cells[0].startswith("`/")]
    assert {word: len(fields) for word, *fields in lines} == {
        word: len(protocol.LAYOUTS[kind].names) for word, kind in protocol.EVENTS.items()
    }


def test_the_fields_of_json() -> None:
    """The table has the fields of every event that `--json` shows."""
    rows = [cells for cells in rows_of(read("docs/bots.md")) if re.fullmatch("`[a-z`, ]+`", cells[0])]
    documented = {word: cells[1].split() for cells in rows for word in re.findall("[a-z]+", cells[0])}
    untold = json_lines._INTERNAL
    assert documented == {
        word: list(protocol.LAYOUTS[kind].names) for word, kind in protocol.EVENTS.items() if kind not in untold
    }


def test_every_error_code_is_in_the_code() -> None:
    """And none is made up."""
    table = read("docs/protocol.md").partition("## Error codes")[2].partition("\n## ")[0]
    codes = {code for cells in rows_of(table) for code in re.findall("`([a-z-]+)`", cells[0])}
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "hubbub").rglob("*.py"))
    made_of_two_parts = {"name-invalid", "room-invalid"}
    assert {code for code in codes - made_of_two_parts if f'"{code}"' not in source} == set()


def test_the_test_vector_of_the_proof() -> None:
    """The client makes this proof, and so does the recipe in Python's own words."""
    section = read("docs/protocol.md").partition("## Proofs")[2].partition("\n## ")[0]
    vector = dict(re.findall(r"^([A-Z]+) +([0-9a-f]{32,64})\b", section, re.MULTILINE))
    secret, server, nonce = bytes.fromhex(vector["SECRET"]), vector["SERVER"], vector["NONCE"]
    proof = f"/prove {vector['VERIFIER']} {vector['PROOF']}"
    assert identity.make_proof(secret, protocol.ServerChallenge(server, nonce)).encode() == f"{proof}\n".encode()
    assert make_prove_command(secret, server, nonce) == proof


# --------------------------------------------------------------------------------------------------------- security


@functools.cache
def functions(path: Path) -> set[str]:
    """Return the names of the functions of a file; none if it does not exist."""
    if not path.exists():
        return set()
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_its_tests() -> None:
    """Each row of the promises that tells of an attack names tests, and all of them exist."""
    rows = rows_of(read("docs/security.md").partition("## Promises")[2])[1:]
    assert [promise for promise, attack, tests in rows if attack and not re.search(r"::test_\w+`", tests)] == []
    named = [name for _, _, tests in rows for name in re.findall(r"`(tests/[\w/]+\.py::\w+)`", tests)]
    assert len(named) > len(rows) > 20
    missing = [name for name in named if name.partition("::")[2] not in functions(ROOT / name.partition("::")[0])]
    assert missing == [], "\n".join(missing)


def test_the_documented_limits() -> None:
    """The seconds, bytes and numbers in the documents are the defaults of the code."""
    made = limits.Limits()
    assert (made.handshake_seconds, made.sign_in_seconds, made.sign_in_bytes) == (10, 30, 8 * 1024)
    assert (made.ping_seconds, made.idle_timeout_seconds, slow_consumers.PROGRESS_SECONDS) == (45, 120, 120)
    assert (made.max_rooms_per_member, made.room_changes_per_minute, made.name_changes_per_minute) == (50, 60, 20)
    assert (admission.MAX_FAILURES, admission.FAILURE_WINDOW_SECONDS) == (5, 60)
    assert (ownership.NAME_EXPIRY_DAYS, ownership.MAX_NAMES_PER_OWNER) == (90, 10)
    assert protocol.DURATION_SECONDS_MAX == 365 * 86_400
    assert made.loopback_exempt
