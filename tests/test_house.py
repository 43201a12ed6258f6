"""The house: which module may know which, and that the README says what the code does."""

import ast
import re
from pathlib import Path

import pytest

import chat_server
from client import options
from client.commands import COMMANDS
from tests.wire import ROOT

OURS = {"chat_client", "chat_server", "client", "color", "logfile", "protocol", "server", "tls"}
MAY_IMPORT = {
    "protocol": set(),
    "color": set(),
    "logfile": set(),
    "tls": set(),
    "server": {"protocol", "server", "tls"},
    "client": {"protocol", "color", "client", "tls"},
    "chat_server": {"protocol", "logfile", "server"},
    "chat_client": {"protocol", "color", "logfile", "client"},
}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def modules(room: str) -> list[Path]:
    """Return the files of a room of the house."""
    return [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").exists() else sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the top names of all that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_the_arrows_run_one_way(room: str) -> None:
    """Server and client never meet, and the language knows neither."""
    for path in modules(room):
        assert imported(path) & OURS <= MAY_IMPORT[room], path.name


def test_the_command_table_of_the_readme() -> None:
    """It is that of the client, word for word and in its order."""
    rows = re.findall(r"^\| `(/[^`]+)` \| (.+) \|$", README, re.MULTILINE)
    assert [(usage.replace("\\|", "|"), text) for usage, text in rows] == [
        (row.usage, row.help) for row in COMMANDS.values()
    ]


@pytest.mark.parametrize("module", [chat_server, options])
def test_the_readme_names_every_option(module: object) -> None:
    """Nothing that the command line knows is missing."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")  # type: ignore[attr-defined]
    options = set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', source)) - {"--version"}
    assert {option for option in options if f"`{option}`" not in README} == set()


def test_every_file_that_the_readme_names_is_there() -> None:
    """Whoever follows it finds what it promises."""
    named = re.findall(r"[`(]([a-z_]+(?:/[a-z_0-9]+)*\.(?:py|png|svg))[`)]", README)
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_module_has_its_row_in_the_readme() -> None:
    """The list of ideas and files is complete."""
    files = [str(path.relative_to(ROOT)) for room in MAY_IMPORT for path in modules(room)]
    assert [name for name in files if not name.endswith("__init__.py") and f"`{name}`" not in README] == []
