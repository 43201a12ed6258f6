"""The limiter, without sockets."""

import threading
from dataclasses import replace

import pytest

from hubbub.protocol import ProtocolError
from hubbub.server.access.limits import Limits
from hubbub.server.network import admission
from hubbub.server.network.admission import (
    FAILURE_WINDOW_SECONDS,
    MAX_FAILURES,
    MIN_SUBNETS_BEFORE_CLEANUP,
    Admission,
    AttemptLimiter,
    ConnectionLimiter,
    SubnetRateLimiter,
)
from testing.clock import FakeClock

HERE, THERE = "192.0.2.1", "192.0.2.2"
SMALL = Limits(max_clients=4, max_clients_per_address=2, connections_per_second=10, max_unnamed=3)
WIDE = replace(SMALL, max_clients=1_000_000, max_unnamed=1_000_000)


def refusal_code(limiter: ConnectionLimiter, address: str) -> str:
    """Return the error code with which a connection is refused."""
    with pytest.raises(ProtocolError) as error:
        limiter.admit_connection(address)
    return error.value.code


def test_connections_are_limited() -> None:
    """One more is refused, until one is released."""
    limiter = ConnectionLimiter(SMALL)
    admissions = []
    for _ in range(4):
        admissions.append(limiter.admit_connection("127.0.0.1"))
        limiter.mark_named(admissions[-1])
    assert refusal_code(limiter, "127.0.0.1") == "server-full"
    limiter.release(admissions[0])
    limiter.admit_connection("127.0.0.1")


def test_unnamed_connections_are_limited() -> None:
    """A client that gets a name, or is gone, makes space for another."""
    limiter = ConnectionLimiter(SMALL)
    named, gone, _ = [limiter.admit_connection("127.0.0.1") for _ in range(3)]
    assert refusal_code(limiter, "127.0.0.1") == "server-full"
    limiter.mark_named(named)
    last = limiter.admit_connection("127.0.0.1")
    assert refusal_code(limiter, "127.0.0.1") == "server-full"
    limiter.release(gone)
    limiter.mark_named(last)
    limiter.admit_connection("127.0.0.1")


def test_newcomers_drop_the_oldest_unnamed_of_the_subnet_that_has_most() -> None:
    """So a few addresses with silent connections keep nobody out; members and this machine are never dropped."""
    limiter = ConnectionLimiter(replace(WIDE, max_clients_per_address=4, max_unnamed=8))
    dropped: list[str] = []

    def connect(address: str, label: str) -> Admission:
        admission = limiter.admit_connection(address)
        admission.drop = lambda: dropped.append(label)
        return admission

    member = connect("192.0.2.2", "member")
    limiter.mark_named(member)
    connect("127.0.0.1", "loopback")
    connect("192.0.2.3", "early")
    for number in range(3):
        connect("192.0.2.1", f"first{number}")
        connect("192.0.2.2", f"second{number}")
    for number in range(4):
        connect("198.51.100.1", f"newcomer{number}")
    assert dropped == ["first0", "second0", "first1", "newcomer0"]
    assert limiter._subnets["192.0.2.1"].unnamed == 1
    assert limiter._subnets["192.0.2.1"].connections == 3  # until they are released


def test_connections_of_an_address_are_limited() -> None:
    """Another address is not affected."""
    clock = FakeClock()
    limiter = ConnectionLimiter(WIDE, clock)
    first, _ = [limiter.admit_connection("192.0.2.1") for _ in range(2)]
    assert refusal_code(limiter, "192.0.2.1") == "too-many"
    limiter.admit_connection("192.0.2.2")
    limiter.release(first)
    clock.now = 1.0
    limiter.admit_connection("192.0.2.1")


def test_connection_rate_of_an_address_is_limited() -> None:
    """A burst, then so many a second; refused connections do not count."""
    clock = FakeClock()
    limiter = ConnectionLimiter(WIDE, clock)
    for _ in range(2):
        limiter.release(limiter.admit_connection("192.0.2.1"))
    assert {refusal_code(limiter, "192.0.2.1") for _ in range(50)} == {"too-fast"}
    limiter.admit_connection("192.0.2.2")
    clock.now = 0.1
    limiter.release(limiter.admit_connection("192.0.2.1"))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_exempt(address: str) -> None:
    """From the limits by address, unless `loopback_exempt` is off."""
    limiter = ConnectionLimiter(WIDE)
    for _ in range(100):
        limiter.admit_connection(address)
    strict = ConnectionLimiter(replace(WIDE, loopback_exempt=False))
    for _ in range(2):
        strict.admit_connection(address)
    assert refusal_code(strict, address) == "too-many"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_addresses_of_one_subnet(one: str, other: str, same: bool) -> None:
    """An IPv6 address counts by its first 64 bits, because its owner chooses the others freely."""
    limiter = ConnectionLimiter(WIDE)
    for _ in range(2):
        limiter.admit_connection(one)
    if same:
        assert refusal_code(limiter, other) == "too-many"
    else:
        limiter.admit_connection(other)


def test_banned_address_is_not_counted() -> None:
    """It is refused first; other addresses are not."""

    def refuse(address: str) -> None:
        if address == "192.0.2.1":
            raise ProtocolError("not-allowed", "banned")

    limiter = ConnectionLimiter(SMALL, refuse_banned=refuse)
    assert {refusal_code(limiter, "192.0.2.1") for _ in range(10)} == {"not-allowed"}
    assert (limiter._connections, limiter._subnets) == (0, {})
    limiter.admit_connection("192.0.2.2")


def test_mark_named_and_release_are_idempotent() -> None:
    """However often they are called."""
    limiter = ConnectionLimiter(SMALL)
    admitted = limiter.admit_connection("192.0.2.1")
    for _ in range(3):
        limiter.mark_named(admitted)
        limiter.release(admitted)
    assert (limiter._connections, len(limiter._unnamed), limiter._subnets["192.0.2.1"].connections) == (0, 0, 0)


def test_idle_subnets_are_dropped() -> None:
    """Subnets with open connections stay."""
    clock = FakeClock()
    limiter = ConnectionLimiter(WIDE, clock)
    limiter.admit_connection("192.0.2.1")
    for number in range(3 * MIN_SUBNETS_BEFORE_CLEANUP):
        clock.now += 1.0
        limiter.release(limiter.admit_connection(f"2001:db8:{number:x}::1"))
    assert len(limiter._subnets) <= MIN_SUBNETS_BEFORE_CLEANUP + 2
    assert "192.0.2.1" in limiter._subnets


def test_counts_after_many_threads() -> None:
    """No connection is counted twice or for ever."""
    limiter = ConnectionLimiter(replace(WIDE, connections_per_second=0))

    def connect_and_disconnect(address: str) -> None:
        for _ in range(500):
            admitted = limiter.admit_connection(address)
            limiter.mark_named(admitted)
            limiter.release(admitted)

    threads = [threading.Thread(target=connect_and_disconnect, args=(f"192.0.2.{n % 3}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (limiter._connections, len(limiter._unnamed)) == (0, 0)
    assert [subnet.connections for subnet in limiter._subnets.values()] == [0, 0, 0]


def test_rate_of_a_subnet_is_limited() -> None:
    """A burst, then at the rate; refused ones do not count, and another subnet is not affected."""
    clock = FakeClock()
    limiter = SubnetRateLimiter(WIDE, 0.1, 2, clock)
    limiter.enforce(HERE, "slow down")
    limiter.enforce(HERE, "slow down")
    for _ in range(3):
        with pytest.raises(ProtocolError, match="slow down; try again in 10 s"):
            limiter.enforce(HERE, "slow down")
    limiter.enforce(THERE, "slow down")
    clock.now = 10.0
    limiter.enforce(HERE, "slow down")


def test_rate_of_this_machine() -> None:
    """It is exempt where all limits by address are."""
    exempt, strict = [SubnetRateLimiter(replace(WIDE, loopback_exempt=value), 0.1, 2) for value in (True, False)]
    for _ in range(5):
        exempt.enforce("127.0.0.1", "slow down")
    strict.enforce("127.0.0.1", "slow down")
    strict.enforce("127.0.0.1", "slow down")
    with pytest.raises(ProtocolError, match="too-fast"):
        strict.enforce("127.0.0.1", "slow down")


def test_subnets_with_all_their_tokens_are_forgotten() -> None:
    """Those that have used some stay."""
    clock = FakeClock()
    limiter = SubnetRateLimiter(WIDE, 1.0, 1, clock)
    for number in range(3 * MIN_SUBNETS_BEFORE_CLEANUP):
        clock.now += 1.0
        limiter.enforce(f"2001:db8:{number:x}::1", "slow down")
    assert len(limiter._buckets) <= MIN_SUBNETS_BEFORE_CLEANUP + 2


def fail_if_called() -> bool:
    """Fail, because it must not be called."""
    raise AssertionError


def use_up_attempts(limiter: AttemptLimiter, address: str) -> None:
    """Fail as often as is allowed."""
    assert [limiter.attempt(address, lambda: False) for _ in range(MAX_FAILURES)] == [False] * MAX_FAILURES


@pytest.mark.parametrize("address", [HERE, "127.0.0.1", "::1"])
def test_failed_attempts_are_limited(address: str) -> None:
    """Then no attempt is checked until the first is a minute old; the loopback address is no exception."""
    clock = FakeClock()
    limiter = AttemptLimiter(clock)
    use_up_attempts(limiter, address)
    clock.now = 0.5
    with pytest.raises(ProtocolError) as refused:
        limiter.attempt(address, fail_if_called)
    assert refused.value.code == "too-fast"
    assert refused.value.text.endswith("try again in 60 s")
    clock.now = FAILURE_WINDOW_SECONDS
    assert limiter.attempt(address, lambda: True)


def test_attempts_of_another_address_are_not_affected() -> None:
    """Each subnet has its own limit."""
    limiter = AttemptLimiter(FakeClock())
    use_up_attempts(limiter, HERE)
    assert limiter.attempt(THERE, lambda: True)


def test_successful_attempts_do_not_count() -> None:
    """Nor do attempts whose check raised an error; nothing is remembered of them."""
    limiter = AttemptLimiter(FakeClock())
    for _ in range(3 * MAX_FAILURES):
        assert limiter.attempt(HERE, lambda: True)
        with pytest.raises(AssertionError):
            limiter.attempt(HERE, fail_if_called)
    assert limiter._subnets == {}


def test_table_of_failed_subnets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subnets that tried last stay in it."""
    monkeypatch.setattr(admission, "MAX_FAILED_SUBNETS", 10)
    limiter = AttemptLimiter(FakeClock())
    for number in range(50):
        limiter.attempt(f"192.0.2.{number}", lambda: False)
    assert len(limiter._subnets) == 10
    use_up_attempts(limiter, THERE)
    with pytest.raises(ProtocolError):
        limiter.attempt(THERE, fail_if_called)


def test_concurrent_attempts_are_limited() -> None:
    """No more are checked than if they came one after another."""
    limiter = AttemptLimiter()
    barrier = threading.Barrier(20)
    checks: list[int] = []

    def check() -> bool:
        checks.append(1)
        threading.Event().wait(0.1)  # in which all others begin
        return False

    def attempt() -> None:
        barrier.wait()
        try:
            limiter.attempt(HERE, check)
        except ProtocolError:
            return

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(checks) == MAX_FAILURES


def test_concurrent_right_attempts_all_succeed() -> None:
    """A class that reconnects from behind one router gets in."""
    limiter = AttemptLimiter()
    barrier = threading.Barrier(20)
    results: list[bool] = []

    def attempt() -> None:
        barrier.wait()
        results.append(limiter.attempt(HERE, lambda: not threading.Event().wait(0.01)))

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 20
