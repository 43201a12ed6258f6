"""How often an address may guess, without sockets."""

import threading

import pytest

from hubbub.protocol import ProtocolError
from hubbub.server.network import attempts as tries_module
from hubbub.server.network.attempts import TRIES_SECONDS, WRONG_TRIES, AttemptLimiter
from tests.server.access.test_limits import Clock

HERE, THERE = "192.0.2.1", "192.0.2.2"


def never() -> bool:
    """Fail: nobody is to look."""
    raise AssertionError


def use_up(tries: AttemptLimiter, address: str) -> None:
    """Be wrong as often as one may."""
    assert [tries.attempt(address, lambda: False) for _ in range(WRONG_TRIES)] == [False] * WRONG_TRIES


@pytest.mark.parametrize("address", [HERE, "127.0.0.1", "::1"])
def test_so_many_wrong_tries_and_no_more(address: str) -> None:
    """Then nobody looks, at the right one neither, until the first is a minute old; this machine is no exception."""
    clock = Clock()
    tries = AttemptLimiter(clock)
    use_up(tries, address)
    clock.now = 0.5
    with pytest.raises(ProtocolError) as refused:
        tries.attempt(address, never)
    assert refused.value.code == "too-fast"
    assert refused.value.text.endswith("try again in 60 s")
    clock.now = TRIES_SECONDS
    assert tries.attempt(address, lambda: True)


def test_another_address_is_not_affected() -> None:
    """Each has its own."""
    tries = AttemptLimiter(Clock())
    use_up(tries, HERE)
    assert tries.attempt(THERE, lambda: True)


def test_right_ones_do_not_count() -> None:
    """Nor those that nobody could look at; nothing is remembered of them."""
    tries = AttemptLimiter(Clock())
    for _ in range(3 * WRONG_TRIES):
        assert tries.attempt(HERE, lambda: True)
        with pytest.raises(AssertionError):
            tries.attempt(HERE, never)
    assert tries._origins == {}


def test_addresses_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is bounded; who tried last is still in it."""
    monkeypatch.setattr(tries_module, "ORIGINS", 10)
    tries = AttemptLimiter(Clock())
    for number in range(50):
        tries.attempt(f"192.0.2.{number}", lambda: False)
    assert len(tries._origins) == 10
    use_up(tries, THERE)
    with pytest.raises(ProtocolError):
        tries.attempt(THERE, never)


def test_many_at_once_are_no_more_than_one_after_another() -> None:
    """No more are looked at than one may be wrong, however many connections try at the same moment."""
    tries = AttemptLimiter()
    together = threading.Barrier(20)
    looked: list[int] = []

    def is_right() -> bool:
        looked.append(1)
        return False

    def guess() -> None:
        together.wait()
        try:
            tries.attempt(HERE, is_right)
        except ProtocolError:
            return

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == WRONG_TRIES


def test_many_right_ones_at_once_wait_for_each_other() -> None:
    """A class that comes back behind one router is let in, all of it."""
    tries = AttemptLimiter()
    together = threading.Barrier(20)
    answers: list[bool] = []

    def come_back() -> None:
        together.wait()
        answers.append(tries.attempt(HERE, lambda: not threading.Event().wait(0.01)))

    threads = [threading.Thread(target=come_back) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 20
