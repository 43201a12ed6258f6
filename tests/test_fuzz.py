"""Tests of the fuzz targets with their seeds, without the fuzzing library."""

import pytest

from fuzz.targets import TARGETS
from testing.waiting import ROOT

SEEDS = ROOT / "fuzz" / "seeds"


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_accepts_its_seeds(target: str) -> None:
    """Every target has seeds, and its assertions hold for each of them."""
    seeds = sorted((SEEDS / target).iterdir())
    assert seeds
    for seed in seeds:
        TARGETS[target](seed.read_bytes())
