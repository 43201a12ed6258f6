"""Start a program from a script, with one line instead of a traceback if it cannot run here."""

from __future__ import annotations  # older versions of Python must be able to read this file

import importlib
import sys
from typing import Callable  # noqa: UP035  # as above

MIN_PYTHON = (3, 11)
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/python"


def load_main(module: str, command: str) -> Callable[[], int]:
    """Return the function `main` of a module, which `python3 COMMAND` starts.

    Raises SystemExit, with what to type, if Python is too old or a dependency is missing.
    """
    if sys.version_info[:2] < MIN_PYTHON:
        found, needed = ("{}.{}".format(*version) for version in (sys.version_info, MIN_PYTHON))
        sys.exit(f"error: this is Python {found}; install Python {needed} or newer and type: python{needed} {command}")
    try:
        main: Callable[[], int] = importlib.import_module(module).main
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hubbub"):
            raise
        sys.exit(f"error: the package {error.name} is not installed; type: {INSTALL} {command}")
    return main
