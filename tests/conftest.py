"""How the tests run.

    python3 -X dev -W error -m pytest                 every check that Python can make of itself
    python3 -m pytest --switch-interval 1e-6          threads give way to each other as often as can be

Both may be given at once. What the first one asks for holds also for the workers of xdist, and for the programs that
tests start, the second for the workers alone: a program has no such option.
"""

import os
import sys

import pytest
from hypothesis import settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; xdist gives its workers what it was given."""
    parser.addoption(
        "--switch-interval", type=float, metavar="SECONDS", help="how long a thread may go on while others wait (0.005)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Heed it, before any worker is started."""
    if seconds := config.getoption("--switch-interval"):
        sys.setswitchinterval(seconds)
    # How long an example takes tells of the machine; `timeout` in pyproject.toml ends what hangs.
    settings.register_profile("suite", deadline=None)
    settings.load_profile("suite")
    # The flags of an interpreter are its own; what it starts knows only the environment.
    if sys.flags.dev_mode:
        os.environ["PYTHONDEVMODE"] = "1"
    if sys.warnoptions:
        os.environ["PYTHONWARNINGS"] = ",".join(sys.warnoptions)
