"""Tests of the scripts on machines where they cannot run."""

import subprocess
import sys

import pytest

from hubbub.startup import load_main
from testing.waiting import ROOT, TIMEOUT_SECONDS


@pytest.mark.parametrize("arguments", ["chat_server.py", "chat_client.py", "-m hubbub", "-m hubbub.server"])
def test_a_missing_dependency_is_one_line_that_says_what_to_type(arguments: str) -> None:
    """The option -S hides all installed packages."""
    command = [sys.executable, "-S", *arguments.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is not installed; type: python3 -m venv .venv && .venv/bin/pip install -q -e ." in done.stderr
    assert done.stderr.endswith(f"{arguments}\n")


def test_an_old_python_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(SystemExit, match=r"this is Python 3\.10; install Python 3\.11 or newer"):
        load_main("hubbub.server.cli", "chat_server.py")


def test_a_missing_module_of_the_package_is_not_hidden() -> None:
    """It is an error in the package, with a traceback."""
    with pytest.raises(ModuleNotFoundError):
        load_main("hubbub.no_such_module", "chat_server.py")
