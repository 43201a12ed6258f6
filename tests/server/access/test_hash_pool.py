"""The threads that compute hashes, and whose turn it is."""

import threading
from collections.abc import Callable, Iterator

import pytest

from hubbub.protocol import ProtocolError
from hubbub.server.access import hash_pool as module
from hubbub.server.access.hash_pool import HashPool
from hubbub.server.access.scrypt import HashedSecret
from testing.waiting import TIMEOUT_SECONDS, eventually

HERE, THERE = "192.0.2.1", "192.0.2.2"


class BusyPool:
    """A pool of one thread that is busy until `release` is called; it records in which order the others have turns."""

    def __init__(self) -> None:
        self.pool = HashPool()
        self.pool.start()
        self.turns: list[str] = []
        self.codes: list[str] = []
        self._release = threading.Event()
        self._threads: list[threading.Thread] = []
        busy = threading.Event()

        def wait() -> None:
            busy.set()
            self._release.wait(TIMEOUT_SECONDS)

        self.add("busy", wait)
        assert busy.wait(TIMEOUT_SECONDS)

    def add(self, queue: str, compute: Callable[[], object] | None = None) -> None:
        """Start another thread that waits in `queue`."""

        def run() -> None:
            try:
                self.pool.run(queue, compute or (lambda: self.turns.append(queue)))
            except ProtocolError as error:
                self.codes.append(error.code)

        waiting = self.waiting()
        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        assert queue == "busy" or eventually(lambda: self.waiting() == waiting + 1)

    def waiting(self) -> int:
        """Return how many wait."""
        with self.pool._changed:
            return sum(map(len, self.pool._queues.values()))

    def release(self) -> None:
        """End what the thread is busy with, and wait until all had their turn."""
        self._release.set()
        self.join()

    def join(self) -> None:
        """Wait for the threads that ran something."""
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Stop the pool while it is busy."""
        stopper = threading.Thread(target=self.pool.stop)
        stopper.start()
        assert eventually(lambda: self.pool._stopped)
        self.release()
        stopper.join(TIMEOUT_SECONDS)


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[BusyPool]:
    monkeypatch.setattr(module, "THREADS", 1)
    made = BusyPool()
    yield made
    made.stop()


def test_secret_is_hashed_and_checked(hash_pool: HashPool) -> None:
    """By a thread of the pool; a secret that has matched once needs none."""
    secret = hash_pool.hash_secret("open sesame", HERE)
    again = HashedSecret(secret.hash)
    assert [hash_pool.matches(again, text, HERE) for text in ("no", "open sesame")] == [False, True]
    hash_pool.stop()
    assert hash_pool.matches(again, "open sesame", THERE)


def test_queues_take_turns(busy: BusyPool) -> None:
    """A queue that comes last does not wait until a long one is empty."""
    for queue in ("a", "a", "a", "b", "b", "c"):
        busy.add(queue)
    busy.release()
    assert busy.turns == ["a", "b", "c", "a", "b", "a"]


def test_checks_do_not_wait_behind_new_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are queues of their own, so that both of one subnet take turns."""
    queues: list[object] = []
    pool = HashPool()
    monkeypatch.setattr(pool, "run", lambda queue, _: queues.append(queue))
    secret = HashedSecret.create("key")
    pool.matches(secret, "other", "2001:db8::1")
    pool.hash_secret("key", "2001:db8::2")
    pool.matches(secret, "other", HERE)
    assert queues == [("check", "2001:db8::/64"), ("hash", "2001:db8::/64"), ("check", HERE)]


def test_no_turn_in_time(busy: BusyPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is told when to try again, and nothing is computed for it later."""
    monkeypatch.setattr(module, "QUEUE_SECONDS", 0.01)
    with pytest.raises(ProtocolError, match="too-fast"):
        busy.pool.run("late", lambda: busy.turns.append("late"))
    busy.release()
    assert busy.pool.run("next", lambda: 1) == 1
    assert busy.turns == []


def test_error_of_a_computation(hash_pool: HashPool) -> None:
    """The caller gets it, and the thread goes on."""
    with pytest.raises(ZeroDivisionError):
        hash_pool.run("a", lambda: 1 // 0)
    assert hash_pool.run("a", lambda: 1) == 1


def test_stop_refuses_what_waits(busy: BusyPool) -> None:
    """And what comes later; the threads have ended."""
    busy.add("a")
    busy.stop()
    assert (busy.turns, busy.codes) == ([], ["unavailable"])
    with pytest.raises(ProtocolError, match="unavailable"):
        busy.pool.run("a", lambda: None)
    assert not any(thread.is_alive() for thread in busy.pool._threads)


def test_stop_without_a_start() -> None:
    """Nothing is to be done."""
    HashPool().stop()
