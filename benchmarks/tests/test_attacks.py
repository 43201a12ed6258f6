"""Each attack of benchmarks.attacks for a moment on a real server: it bites, and an honest pair does not notice."""

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.attacker import TRIALS, Crowd, allow_descriptors
from benchmarks.evidence import Watch, log_words
from hubbub.server.access.limits import Limits
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.network.certificate import Certificate
from hubbub.server.server import ChatServer
from testing.certificates import Authority, unverified_context
from testing.server import captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient

LINES = 10  # of each of the pair, at least
NAMES = ("alice", "bob")


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_descriptors()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    path = Authority(tmp_path_factory.mktemp("tls")).issue().path
    return Certificate(path, path)


@contextmanager
def attacking(name: str, server: ChatServer) -> Iterator[Crowd]:
    """Attack a server in a thread until the context ends."""
    trial = TRIALS[name]
    crowd = Crowd(server.address)
    thread = threading.Thread(target=trial.attack, args=(crowd,))
    thread.start()
    try:
        yield crowd
    finally:
        crowd.over.set()
        thread.join()
        crowd.close()


def chat(pair: list[WireClient], number: int) -> None:
    """Have each say a line, and both get both, in one order; whatever attackers say comes between."""
    for wire in pair:
        wire.send(f"honest {number}")
    heard = [
        [wire.read_match(rf"/say \S+ \d+ \d+ ({'|'.join(NAMES)}) \S+ honest {number}$") for _ in pair] for wire in pair
    ]
    assert heard[0] == heard[1]
    assert {line.split()[4] for line in heard[0]} == set(NAMES)


@pytest.mark.parametrize("name", TRIALS)
def test_an_attack(name: str, tmp_path: Path, certificate: Certificate) -> None:
    """What proves that it bit is seen, while every line of two honest people arrives, in order."""
    trial = TRIALS[name]
    context = unverified_context() if trial.server == "tls" else None
    with (
        captured_log() as log,
        serving(
            limits=Limits(loopback_exempt=trial.server != "strict", grace_seconds=0),
            journal=SqliteJournal(tmp_path / "journal.db"),
            certificate=certificate if trial.server == "tls" else None,
        ) as server,
        WireClient(server.address, NAMES[0], context=context) as alice,
        WireClient(server.address, NAMES[1], context=context) as bob,
    ):
        watch = Watch(os.getpid())
        number = 0

        def bites() -> bool:
            nonlocal number
            number += 1
            chat([alice, bob], number)
            watch.look()
            evidence = watch.most + log_words(message.rstrip("\n") for message in log)
            return number >= LINES and trial.bite.is_in(evidence + crowd.seen)

        with attacking(name, server) as crowd:
            assert eventually(bites), crowd.seen
