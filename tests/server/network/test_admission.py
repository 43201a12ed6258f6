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
    AttemptLimiter,
    ConnectionLimiter,
)
from tests.server.access.test_limits import Clock

HERE, THERE = "192.0.2.1", "192.0.2.2"
SMALL = Limits(max_clients=4, max_clients_per_address=2, connections_per_second=10, max_unnamed=3)
WIDE = replace(SMALL, max_clients=1_000_000, max_unnamed=1_000_000)


def refused(limiter: ConnectionLimiter, address: str) -> str:
    """Return the code with which a connection is refused."""
    with pytest.raises(ProtocolError) as error:
        limiter.admit_connection(address)
    return error.value.code


def test_so_many_are_let_in_and_no_more() -> None:
    """One more is refused; when somebody goes there is room again."""
    limiter = ConnectionLimiter(SMALL)
    admissions = []
    for _ in range(4):
        admissions.append(limiter.admit_connection("127.0.0.1"))
        limiter.mark_named(admissions[-1])
    assert refused(limiter, "127.0.0.1") == "server-full"
    limiter.release(admissions[0])
    limiter.admit_connection("127.0.0.1")


def test_so_many_without_a_name() -> None:
    """Who says who he is, or goes, makes room for the next."""
    limiter = ConnectionLimiter(SMALL)
    named, gone, _ = [limiter.admit_connection("127.0.0.1") for _ in range(3)]
    assert refused(limiter, "127.0.0.1") == "server-full"
    limiter.mark_named(named)
    last = limiter.admit_connection("127.0.0.1")
    assert refused(limiter, "127.0.0.1") == "server-full"
    limiter.release(gone)
    limiter.mark_named(last)
    limiter.admit_connection("127.0.0.1")


def test_so_many_from_one_address() -> None:
    """Another address is not affected; when one goes, one may come."""
    clock = Clock()
    limiter = ConnectionLimiter(WIDE, clock)
    first, _ = [limiter.admit_connection("192.0.2.1") for _ in range(2)]
    assert refused(limiter, "192.0.2.1") == "too-many"
    limiter.admit_connection("192.0.2.2")
    limiter.release(first)
    clock.now = 1.0
    limiter.admit_connection("192.0.2.1")


def test_new_ones_from_one_address() -> None:
    """As many in one go as there may be, then so many a second; refused ones count for nothing."""
    clock = Clock()
    limiter = ConnectionLimiter(WIDE, clock)
    for _ in range(2):
        limiter.release(limiter.admit_connection("192.0.2.1"))
    assert {refused(limiter, "192.0.2.1") for _ in range(50)} == {"too-fast"}
    limiter.admit_connection("192.0.2.2")
    clock.now = 0.1
    limiter.release(limiter.admit_connection("192.0.2.1"))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_exempt(address: str) -> None:
    """As far as the address goes, and unless the limits say otherwise."""
    limiter = ConnectionLimiter(WIDE)
    for _ in range(100):
        limiter.admit_connection(address)
    strict = ConnectionLimiter(replace(WIDE, loopback_exempt=False))
    for _ in range(2):
        strict.admit_connection(address)
    assert refused(strict, address) == "too-many"


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
def test_what_is_one_address(one: str, other: str, same: bool) -> None:
    """In IPv6 the first 64 bits; the rest is its owner's to choose."""
    limiter = ConnectionLimiter(WIDE)
    for _ in range(2):
        limiter.admit_connection(one)
    if same:
        assert refused(limiter, other) == "too-many"
    else:
        limiter.admit_connection(other)


def test_who_is_banned_counts_for_nothing() -> None:
    """He is refused before anything is counted, and others are not."""

    def refuse(address: str) -> None:
        if address == "192.0.2.1":
            raise ProtocolError("not-allowed", "banned")

    limiter = ConnectionLimiter(SMALL, refuse_banned=refuse)
    assert {refused(limiter, "192.0.2.1") for _ in range(10)} == {"not-allowed"}
    assert (limiter._connections, limiter._subnets) == (0, {})
    limiter.admit_connection("192.0.2.2")


def test_a_name_and_a_goodbye_count_once() -> None:
    """However often they are noted."""
    limiter = ConnectionLimiter(SMALL)
    admitted = limiter.admit_connection("192.0.2.1")
    for _ in range(3):
        limiter.mark_named(admitted)
        limiter.release(admitted)
    assert (limiter._connections, limiter._unnamed, limiter._subnets["192.0.2.1"].connections) == (0, 0, 0)


def test_addresses_are_forgotten() -> None:
    """Whoever is gone and has not been here for a while is not remembered, whoever is here is."""
    clock = Clock()
    limiter = ConnectionLimiter(WIDE, clock)
    limiter.admit_connection("192.0.2.1")
    for number in range(3 * MIN_SUBNETS_BEFORE_CLEANUP):
        clock.now += 1.0
        limiter.release(limiter.admit_connection(f"2001:db8:{number:x}::1"))
    assert len(limiter._subnets) <= MIN_SUBNETS_BEFORE_CLEANUP + 2
    assert "192.0.2.1" in limiter._subnets


def test_many_threads_leave_the_counts_right() -> None:
    """Nobody is counted twice, or for ever."""
    limiter = ConnectionLimiter(replace(WIDE, connections_per_second=0))

    def come_and_go(address: str) -> None:
        for _ in range(500):
            admitted = limiter.admit_connection(address)
            limiter.mark_named(admitted)
            limiter.release(admitted)

    threads = [threading.Thread(target=come_and_go, args=(f"192.0.2.{n % 3}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (limiter._connections, limiter._unnamed) == (0, 0)
    assert [subnet.connections for subnet in limiter._subnets.values()] == [0, 0, 0]


def never() -> bool:
    """Fail: nobody is to look."""
    raise AssertionError


def use_up(limiter: AttemptLimiter, address: str) -> None:
    """Be wrong as often as one may."""
    assert [limiter.attempt(address, lambda: False) for _ in range(MAX_FAILURES)] == [False] * MAX_FAILURES


@pytest.mark.parametrize("address", [HERE, "127.0.0.1", "::1"])
def test_so_many_wrong_tries_and_no_more(address: str) -> None:
    """Then nobody looks, at the right one neither, until the first is a minute old; this machine is no exception."""
    clock = Clock()
    limiter = AttemptLimiter(clock)
    use_up(limiter, address)
    clock.now = 0.5
    with pytest.raises(ProtocolError) as refused:
        limiter.attempt(address, never)
    assert refused.value.code == "too-fast"
    assert refused.value.text.endswith("try again in 60 s")
    clock.now = FAILURE_WINDOW_SECONDS
    assert limiter.attempt(address, lambda: True)


def test_another_address_is_not_affected() -> None:
    """Each has its own."""
    limiter = AttemptLimiter(Clock())
    use_up(limiter, HERE)
    assert limiter.attempt(THERE, lambda: True)


def test_right_ones_do_not_count() -> None:
    """Nor those that nobody could look at; nothing is remembered of them."""
    limiter = AttemptLimiter(Clock())
    for _ in range(3 * MAX_FAILURES):
        assert limiter.attempt(HERE, lambda: True)
        with pytest.raises(AssertionError):
            limiter.attempt(HERE, never)
    assert limiter._subnets == {}


def test_failed_subnets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is bounded; who tried last is still in it."""
    monkeypatch.setattr(admission, "MAX_FAILED_SUBNETS", 10)
    limiter = AttemptLimiter(Clock())
    for number in range(50):
        limiter.attempt(f"192.0.2.{number}", lambda: False)
    assert len(limiter._subnets) == 10
    use_up(limiter, THERE)
    with pytest.raises(ProtocolError):
        limiter.attempt(THERE, never)


def test_many_at_once_are_no_more_than_one_after_another() -> None:
    """No more are looked at than one may be wrong, however many connections try at the same moment."""
    limiter = AttemptLimiter()
    together = threading.Barrier(20)
    looked: list[int] = []

    def is_right() -> bool:
        looked.append(1)
        return False

    def guess() -> None:
        together.wait()
        try:
            limiter.attempt(HERE, is_right)
        except ProtocolError:
            return

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == MAX_FAILURES


def test_many_right_ones_at_once_wait_for_each_other() -> None:
    """A class that comes back behind one router is let in, all of it."""
    limiter = AttemptLimiter()
    together = threading.Barrier(20)
    answers: list[bool] = []

    def come_back() -> None:
        together.wait()
        answers.append(limiter.attempt(HERE, lambda: not threading.Event().wait(0.01)))

    threads = [threading.Thread(target=come_back) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 20
