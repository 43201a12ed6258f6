"""Token buckets and the throttle of the log."""

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
from testing.clock import FakeClock


def test_bucket_allows_a_burst_then_a_rate() -> None:
    """Five at once, then one every 0.1 s; after a pause the burst is available again."""
    clock = FakeClock()
    bucket = TokenBucket(10, 5, clock)
    assert [bucket.consume_up_to(1, [1])[1] for _ in range(7)] == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2])
    clock.now = 10.0
    assert [bucket.consume_up_to(1, [1])[1] for _ in range(6)] == pytest.approx([0, 0, 0, 0, 0, 0.1])


def test_many_items_at_once() -> None:
    """The whole burst at once, then one item at a time, each after a wait."""
    clock = FakeClock()
    bucket = TokenBucket(10, 5, clock)
    assert [bucket.consume_up_to(8, [1] * 8), bucket.consume_up_to(8, [1] * 8)] == [(5, 0.0), (1, pytest.approx(0.1))]
    clock.now = 0.4
    assert bucket.consume_up_to(2, [1] * 2) == (2, 0.0)


def test_rate_0_is_no_limit() -> None:
    """It neither delays nor refuses."""
    bucket = TokenBucket(0, 1, FakeClock())
    assert bucket.consume_up_to(100, [1] * 100) == (100, 0.0)
    assert [bucket.try_consume() for _ in range(100)] == [0.0] * 100


def test_items_that_cost_several_tokens() -> None:
    """An item that costs more than there is passes if it is the first, after a wait for all its tokens."""
    clock = FakeClock()
    bucket = TokenBucket(10, 5, clock)
    assert bucket.consume_up_to(3, [2, 2, 2]) == (2, 0.0)
    paid, seconds = bucket.consume_up_to(2, [11, 1])
    assert paid == 1
    assert seconds == pytest.approx(1.0)


def test_long_line_counts_as_several() -> None:
    """One, and one more for every 200 characters."""
    assert [line_cost("x" * chars) for chars in (0, 1, 199, 200, 2_000)] == [1, 1, 1, 2, 11]


def test_refused_attempt_consumes_nothing() -> None:
    """The time to wait does not grow with further attempts."""
    clock = FakeClock()
    bucket = TokenBucket(0.5, 2, clock)
    assert [bucket.try_consume() for _ in range(5)] == pytest.approx([0, 0, 2, 2, 2])
    clock.now = 2.0
    assert [bucket.try_consume() for _ in range(2)] == pytest.approx([0, 2])


def test_bucket_is_full_again_after_a_pause() -> None:
    """Then it equals a new one."""
    clock = FakeClock()
    bucket = TokenBucket(10, 5, clock)
    assert bucket.is_full
    bucket.consume_up_to(1, [1])
    assert not bucket.is_full
    clock.now = 0.2
    assert bucket.is_full


def test_refusal_names_the_limit_and_the_wait() -> None:
    """In whole seconds, rounded up, so that waiting so long is enough."""
    bucket = TokenBucket(1 / 3, 1, FakeClock())
    enforce_rate_limit(bucket, "you may do it often")
    with pytest.raises(ProtocolError) as refused:
        enforce_rate_limit(bucket, "you may do it often")
    assert (refused.value.code, refused.value.text) == ("too-fast", "you may do it often; try again in 3 s")


def test_one_log_line_a_minute_for_each_kind() -> None:
    """The next line of the kind says how many were skipped."""
    clock = FakeClock()
    log_throttle = LogThrottle(clock)
    assert [log_throttle.allow("full") for _ in range(4)] == ["", None, None, None]
    assert log_throttle.allow("other") == ""
    clock.now = LOG_THROTTLE_SECONDS
    assert [log_throttle.allow("full"), log_throttle.allow("full")] == [" (3 more like this since the last one)", None]


def test_number_of_log_kinds_is_bounded() -> None:
    """The table and the number of log lines are bounded; later there is space for new kinds."""
    clock = FakeClock()
    log_throttle = LogThrottle(clock)
    lines = sum(log_throttle.allow(kind) is not None for kind in range(5 * MAX_LOG_KINDS))
    assert lines == MAX_LOG_KINDS + 1
    assert len(log_throttle._logged) == MAX_LOG_KINDS + 1
    clock.now = LOG_THROTTLE_SECONDS
    assert log_throttle.allow("new") == ""
    assert len(log_throttle._logged) == 1
