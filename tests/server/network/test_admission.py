"""The gate, without sockets."""

import threading
from dataclasses import replace

import pytest

from hubbub.protocol import ProtocolError
from hubbub.server.access.limits import Limits
from hubbub.server.network.admission import ORIGINS, ConnectionLimiter
from tests.server.access.test_limits import Clock

SMALL = Limits(clients=4, clients_per_address=2, connects_per_second=10, unnamed=3)
WIDE = replace(SMALL, clients=1_000_000, unnamed=1_000_000)


def refused(gate: ConnectionLimiter, address: str) -> str:
    """Return the code with which a connection is refused."""
    with pytest.raises(ProtocolError) as error:
        gate.let_in(address)
    return error.value.code


def test_so_many_are_let_in_and_no_more() -> None:
    """One more is refused; when somebody goes there is room again."""
    gate = ConnectionLimiter(SMALL)
    admissions = []
    for _ in range(4):
        admissions.append(gate.let_in("127.0.0.1"))
        gate.note_name(admissions[-1])
    assert refused(gate, "127.0.0.1") == "server-full"
    gate.let_go(admissions[0])
    gate.let_in("127.0.0.1")


def test_so_many_without_a_name() -> None:
    """Who says who he is, or goes, makes room for the next."""
    gate = ConnectionLimiter(SMALL)
    named, gone, _ = [gate.let_in("127.0.0.1") for _ in range(3)]
    assert refused(gate, "127.0.0.1") == "server-full"
    gate.note_name(named)
    last = gate.let_in("127.0.0.1")
    assert refused(gate, "127.0.0.1") == "server-full"
    gate.let_go(gone)
    gate.note_name(last)
    gate.let_in("127.0.0.1")


def test_so_many_from_one_address() -> None:
    """Another address is not affected; when one goes, one may come."""
    clock = Clock()
    gate = ConnectionLimiter(WIDE, clock)
    first, _ = [gate.let_in("192.0.2.1") for _ in range(2)]
    assert refused(gate, "192.0.2.1") == "too-many"
    gate.let_in("192.0.2.2")
    gate.let_go(first)
    clock.now = 1.0
    gate.let_in("192.0.2.1")


def test_new_ones_from_one_address() -> None:
    """As many in one go as there may be, then so many a second; refused ones count for nothing."""
    clock = Clock()
    gate = ConnectionLimiter(WIDE, clock)
    for _ in range(2):
        gate.let_go(gate.let_in("192.0.2.1"))
    assert {refused(gate, "192.0.2.1") for _ in range(50)} == {"too-fast"}
    gate.let_in("192.0.2.2")
    clock.now = 0.1
    gate.let_go(gate.let_in("192.0.2.1"))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_exempt(address: str) -> None:
    """As far as the address goes, and unless the limits say otherwise."""
    gate = ConnectionLimiter(WIDE)
    for _ in range(100):
        gate.let_in(address)
    strict = ConnectionLimiter(replace(WIDE, loopback_exempt=False))
    for _ in range(2):
        strict.let_in(address)
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
    gate = ConnectionLimiter(WIDE)
    for _ in range(2):
        gate.let_in(one)
    if same:
        assert refused(gate, other) == "too-many"
    else:
        gate.let_in(other)


def test_who_is_banned_counts_for_nothing() -> None:
    """He is refused before anything is counted, and others are not."""

    def refuse(address: str) -> None:
        if address == "192.0.2.1":
            raise ProtocolError("not-allowed", "banned")

    gate = ConnectionLimiter(SMALL, refuse_banned=refuse)
    assert {refused(gate, "192.0.2.1") for _ in range(10)} == {"not-allowed"}
    assert (gate._people, gate._origins) == (0, {})
    gate.let_in("192.0.2.2")


def test_a_name_and_a_goodbye_count_once() -> None:
    """However often they are noted."""
    gate = ConnectionLimiter(SMALL)
    admission = gate.let_in("192.0.2.1")
    for _ in range(3):
        gate.note_name(admission)
        gate.let_go(admission)
    assert (gate._people, gate._unnamed, gate._origins["192.0.2.1"].people) == (0, 0, 0)


def test_addresses_are_forgotten() -> None:
    """Whoever is gone and has not been here for a while is not remembered, whoever is here is."""
    clock = Clock()
    gate = ConnectionLimiter(WIDE, clock)
    gate.let_in("192.0.2.1")
    for number in range(3 * ORIGINS):
        clock.now += 1.0
        gate.let_go(gate.let_in(f"2001:db8:{number:x}::1"))
    assert len(gate._origins) <= ORIGINS + 2
    assert "192.0.2.1" in gate._origins


def test_many_threads_leave_the_counts_right() -> None:
    """Nobody is counted twice, or for ever."""
    gate = ConnectionLimiter(replace(WIDE, connects_per_second=0))

    def come_and_go(address: str) -> None:
        for _ in range(500):
            admission = gate.let_in(address)
            gate.note_name(admission)
            gate.let_go(admission)

    threads = [threading.Thread(target=come_and_go, args=(f"192.0.2.{n % 3}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (gate._people, gate._unnamed) == (0, 0)
    assert [origin.people for origin in gate._origins.values()] == [0, 0, 0]
