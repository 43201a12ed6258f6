"""Fixtures of the tests of the delivery."""

from collections.abc import Iterator

import pytest

from testing.delivery import SlowReader


@pytest.fixture
def reader() -> Iterator[SlowReader]:
    made = SlowReader()
    yield made
    made.close()


@pytest.fixture
def readers() -> Iterator[list[SlowReader]]:
    made = [SlowReader() for _ in range(10)]
    yield made
    for reader in made:
        reader.close()
