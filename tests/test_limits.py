"""The token bucket."""

import pytest

from server.limits import Bucket


def test_a_bucket_gives_a_burst_and_then_a_rate() -> None:
    """Five at once, then one every tenth of a second; a rest fills it again."""
    now = [0.0]
    bucket = Bucket(10, 5, lambda: now[0])
    assert [bucket.take() for _ in range(7)] == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2])
    now[0] = 10.0
    assert [bucket.take() for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 0.1])


def test_no_rate_is_no_limit() -> None:
    """Rate 0 never waits."""
    bucket = Bucket(0, 1, lambda: 0.0)
    assert [bucket.take() for _ in range(100)] == [0.0] * 100
