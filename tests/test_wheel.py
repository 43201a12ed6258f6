"""The wheel holds one package and two commands, and nothing else."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from hubbub.protocol import __version__
from testing.waiting import ROOT

BUILD = "import sys, setuptools.build_meta; setuptools.build_meta.build_wheel(sys.argv[1])"
RUN_SECONDS = 60.0  # for each program: the build, the environment's pip, a command


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, so that the build leaves nothing behind."""
    source = tmp_path_factory.mktemp("source")
    for path in (*ROOT.glob("*.py"), *(ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE"))):
        shutil.copy(path, source)
    for folder in ("hubbub", "benchmarks", "testing", "tests"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    built = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-c", BUILD, str(built), cwd=source)
    return next(built.glob("*.whl"))


def run(*command: str, cwd: Path) -> str:
    """Run a program and return its output; fail if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_with_its_types(wheel: Path) -> None:
    """It holds every module of the package and the marker of its type hints."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hubbub").rglob("*.py")}
    assert files == modules | {"hubbub/py.typed"}


def test_an_installed_wheel_is_one_package_and_two_commands(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment nothing else appears, and both commands run there."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    commands = environment / ("Scripts" if sys.platform == "win32" else "bin")
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    before = {path.name for folder in (commands, packages) for path in folder.iterdir()}
    # The dependencies are those of the environment that runs the tests: nothing is fetched.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    run(
        str(commands / "python"), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel), cwd=tmp_path
    )
    after = {path.name for folder in (commands, packages) for path in folder.iterdir()}
    added = {"hubbub", f"hubbub-{__version__}.dist-info", "hubbub-server"}
    assert after - before == added | {"dependencies.pth"}
    for command in ("hubbub", "hubbub-server"):
        assert run(str(commands / command), "--version", cwd=tmp_path).split()[-1] == __version__
