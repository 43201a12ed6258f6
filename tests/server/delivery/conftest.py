"""Fixtures of the tests of the delivery."""

from collections.abc import Iterator

import pytest

from testing.delivery import SlowReader


@pytest.fixture
def reader() -> Iterator[SlowReader]:
    made = SlowReader()
    yield made
    made.close()
