"""Options of the test run.

    python3 -X dev -W error -m pytest                 with all of Python's own checks
    python3 -m pytest --switch-interval 1e-6          with threads that switch as often as possible

Both can be combined. The first one also applies to the workers of xdist and to the programs that tests start, the
second one only to the workers, because a program has no such option.
"""

import os
import signal
import sys

import pytest
from hypothesis import settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; xdist passes it on to its workers."""
    parser.addoption(
        "--switch-interval", type=float, metavar="SECONDS", help="how long a thread may run while others wait (0.005)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Apply the options before a worker starts."""
    if seconds := config.getoption("--switch-interval"):
        sys.setswitchinterval(seconds)
    # The time of an example depends on the machine; `timeout` in pyproject.toml ends a test that hangs.
    settings.register_profile("suite", deadline=None)
    settings.load_profile("suite")
    # Programs that tests start get signals, also if this process ignores them, as under nohup: a signal that is ignored
    # stays so in a child process, but one that is handled has its default effect there.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # Child processes do not inherit the flags of the interpreter, only the environment.
    if sys.flags.dev_mode:
        os.environ["PYTHONDEVMODE"] = "1"
    if sys.warnoptions:
        os.environ["PYTHONWARNINGS"] = ",".join(sys.warnoptions)
