"""Which part of the repository may import which, and the language of its texts."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

from testing.waiting import ROOT

MAY_IMPORT = {
    "protocol": {"protocol"},
    "options": {"protocol"},
    "color": set(),
    "log": set(),
    "startup": set(),
    "tls": set(),
    "server": {"startup", "protocol", "options", "log", "server", "tls"},
    "client": {"protocol", "options", "color", "log", "client", "tls"},
}
SCRIPTS = {
    "chat_server.py": {"hubbub.startup"},
    "chat_client.py": {"hubbub.startup"},
    "color.py": {"hubbub.color"},
    "protocol.py": {"hubbub.protocol"},
}
NOT_IN_THE_PROTOCOL = {"socket", "ssl", "threading", "logging", "loguru", "asyncio", "selectors"}
FORBIDDEN_WORDS = re.compile(r"\b(he|him|his|himself|whoever)\b", re.IGNORECASE)
FORBIDDEN_STARTS = ("Have ", "Be ", "See to it", "Let ", "Know ", "Whose ", "Who ", "Whoever ")


def imports(path: Path) -> set[str]:
    """Return all that a file imports, as dotted names: `a.b` and `a.b.c` for `from a.b import c`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def files_of(part: str) -> list[Path]:
    """Return the files of a part of the package, `protocol` or `server`, or of a folder beside it."""
    folder = ROOT / part if (ROOT / part).is_dir() else ROOT / "hubbub" / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def module_name(path: Path) -> str:
    """Return the dotted name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_it_may(part: str) -> None:
    """The server and the client never meet, and the protocol knows neither."""
    for path in files_of(part):
        parts = {name.split(".")[1] for name in imports(path) if name.startswith("hubbub.")}
        assert parts <= MAY_IMPORT[part], path.name


def test_every_part_has_its_rule() -> None:
    """A new part of the package gets a row in the table."""
    parts = {
        path.stem for path in (ROOT / "hubbub").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__", "__main__"} == set(MAY_IMPORT)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_only_calls_the_package(script: str) -> None:
    """The scripts at the top level hold no logic of their own."""
    used = {name for name in imports(ROOT / script) if name.startswith("hubbub")}
    assert {name for name in used if not any(name.startswith(module) for module in SCRIPTS[script])} == set()


def test_the_protocol_does_no_input_or_output() -> None:
    """It imports no socket, thread, logger or colour."""
    for path in files_of("protocol"):
        assert {name.split(".")[0] for name in imports(path)} & NOT_IN_THE_PROTOCOL == set(), path.name


def test_nothing_in_the_package_imports_what_surrounds_it() -> None:
    """The package works without the tests, the benchmarks and the scripts."""
    around = {"tests", "testing", "benchmarks", "fuzz", "media", "chat_server", "chat_client"}
    for path in (ROOT / "hubbub").rglob("*.py"):
        assert {name.split(".")[0] for name in imports(path)} & around == set(), path


@pytest.mark.parametrize(
    ("part", "forbidden"),
    [("tests", "benchmarks"), ("benchmarks", "tests"), ("testing", "tests"), ("testing", "benchmarks")],
)
def test_tests_and_benchmarks_share_only_testing(part: str, forbidden: str) -> None:
    """What both of them need is in `testing`; the tests of the benchmarks are beside them."""
    for path in files_of(part):
        assert forbidden not in {name.split(".")[0] for name in imports(path)}, path


def test_no_import_cycles() -> None:
    """Each module of the package can be read after those that it imports."""
    modules = {module_name(path): path for path in (ROOT / "hubbub").rglob("*.py")}
    graph = {
        name: {used for used in imports(path) if used in modules and not f"{name}.".startswith(f"{used}.")}
        for name, path in modules.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules


def texts() -> list[Path]:
    """Return every Python file and every document of the repository."""
    folders = ("hubbub", "tests", "testing", "benchmarks", "fuzz", "media", "docs", "examples")
    found = [*ROOT.glob("*.*"), *(path for folder in folders for path in (ROOT / folder).rglob("*.*"))]
    return sorted(path for path in found if path.suffix in {".py", ".md"} and path != Path(__file__))


def test_people_are_they() -> None:
    """A client, a user, a member: the pronoun is they."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FORBIDDEN_WORDS.search(line)
    ]
    assert found == [], "\n".join(found)


def test_docstrings_are_imperative_sentences_or_nouns() -> None:
    """They begin with none of the words that need a second reading."""
    found = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in texts()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if (text := ast.get_docstring(node) or "").startswith(FORBIDDEN_STARTS)
    ]
    assert found == [], "\n".join(found)
