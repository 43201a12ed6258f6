"""The seeds of the fuzzers, without their library: what they assert holds, and each target would notice if not."""

import pytest

from fuzz.targets import TARGETS
from testing.waiting import ROOT

SEEDS = ROOT / "fuzz" / "seeds"


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    """Every target has seeds, and what it asserts holds for each of them."""
    seeds = sorted((SEEDS / target).iterdir())
    assert seeds
    for seed in seeds:
        TARGETS[target](seed.read_bytes())
