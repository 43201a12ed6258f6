"""Token buckets, and what is worth a line in the log."""

import pytest

from hubbub.protocol import ProtocolError
from hubbub.server.access.limits import (
    LOG_THROTTLE_SECONDS,
    MAX_LOG_KINDS,
    LogThrottle,
    TokenBucket,
    enforce_rate_limit,
    line_cost,
)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_a_burst_and_then_a_rate() -> None:
    """Five at once, then one every tenth of a second; a rest fills it again."""
    clock = Clock()
    bucket = TokenBucket(10, 5, clock)
    assert [bucket.consume_up_to(1, [1])[1] for _ in range(7)] == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2])
    clock.now = 10.0
    assert [bucket.consume_up_to(1, [1])[1] for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 0.1])


def test_many_at_once_are_those_that_there_are() -> None:
    """All of a burst at once, and then one at a time, each with its wait."""
    clock = Clock()
    bucket = TokenBucket(10, 5, clock)
    assert [bucket.consume_up_to(8, [1] * 8), bucket.consume_up_to(8, [1] * 8)] == [(5, 0.0), (1, pytest.approx(0.1))]
    clock.now = 0.4
    assert bucket.consume_up_to(2, [1] * 2) == (2, 0.0)


def test_no_rate_is_no_limit() -> None:
    """Rate 0 neither waits nor refuses."""
    bucket = TokenBucket(0, 1, Clock())
    assert bucket.consume_up_to(100, [1] * 100) == (100, 0.0)
    assert [bucket.try_consume() for _ in range(100)] == [0.0] * 100


def test_what_costs_more_empties_a_bucket_sooner() -> None:
    """And what costs more than there is waits for all of it, if it is the first."""
    clock = Clock()
    bucket = TokenBucket(10, 5, clock)
    assert bucket.consume_up_to(3, [2, 2, 2]) == (2, 0.0)
    paid, seconds = bucket.consume_up_to(2, [11, 1])
    assert paid == 1
    assert seconds == pytest.approx(1.0)


def test_a_long_line_counts_as_several() -> None:
    """One, and one more for every 200 characters."""
    assert [line_cost("x" * chars) for chars in (0, 1, 199, 200, 2_000)] == [1, 1, 1, 2, 11]


def test_a_bucket_that_refuses_takes_nothing() -> None:
    """Whoever asks too often is told the same time, not a later one each time."""
    clock = Clock()
    bucket = TokenBucket(0.5, 2, clock)
    assert [bucket.try_consume() for _ in range(5)] == pytest.approx([0, 0, 2, 2, 2])
    clock.now = 2.0
    assert [bucket.try_consume() for _ in range(2)] == pytest.approx([0, 2])


def test_a_bucket_is_full_again_after_a_rest() -> None:
    """Then nothing need be remembered of it."""
    clock = Clock()
    bucket = TokenBucket(10, 5, clock)
    assert bucket.is_full
    bucket.consume_up_to(1, [1])
    assert not bucket.is_full
    clock.now = 0.2
    assert bucket.is_full


def test_a_refusal_names_the_limit_and_the_time() -> None:
    """In whole seconds, rounded up, so that to wait for them is enough."""
    bucket = TokenBucket(1 / 3, 1, Clock())
    enforce_rate_limit(bucket, "you may do it often")
    with pytest.raises(ProtocolError) as refused:
        enforce_rate_limit(bucket, "you may do it often")
    assert (refused.value.code, refused.value.text) == ("too-fast", "you may do it often; try again in 3 s")


def test_of_one_kind_one_line_a_minute() -> None:
    """The next line, after LOG_THROTTLE_SECONDS, tells how many were passed over."""
    clock = Clock()
    log_throttle = LogThrottle(clock)
    assert [log_throttle.allow("full") for _ in range(4)] == ["", None, None, None]
    assert log_throttle.allow("other") == ""
    clock.now = LOG_THROTTLE_SECONDS
    assert [log_throttle.allow("full"), log_throttle.allow("full")] == [" (3 more like this since the last one)", None]


def test_kinds_are_bounded() -> None:
    """However many kinds there are, the table is bounded, and so are the lines; later there is room again."""
    clock = Clock()
    log_throttle = LogThrottle(clock)
    lines = sum(log_throttle.allow(kind) is not None for kind in range(5 * MAX_LOG_KINDS))
    assert lines == MAX_LOG_KINDS + 1
    assert len(log_throttle._logged) == MAX_LOG_KINDS + 1
    clock.now = LOG_THROTTLE_SECONDS
    assert log_throttle.allow("new") == ""
    assert len(log_throttle._logged) == 1
