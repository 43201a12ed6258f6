"""Fixtures for the tests of the terminal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.terminal import Terminal
from tests.client.terminal.screen_runs import chatting


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Terminal]:
    """Return a terminal of the usual size with the prompt on it."""
    with chatting(tmp_path) as terminal:
        yield terminal
