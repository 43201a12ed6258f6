"""Tests of each attack of benchmarks.attacks, for a moment: it reaches the server, and two users do not notice it."""

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.attack_evidence import ServerMonitor, count_log_words
from benchmarks.attacker import ATTACKS, Attacker, raise_descriptor_limit
from hubbub.server.access.limits import Limits
from hubbub.server.journal.sqlite import SqliteJournal
from hubbub.server.network.certificate import Certificate
from hubbub.server.server import ChatServer
from testing.certificates import Authority, unverified_context
from testing.server import captured_log, serving
from testing.waiting import eventually
from testing.wire_client import WireClient

LINES = 10  # of each user, at least
NAMES = ("alice", "bob")


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_descriptor_limit()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    path = Authority(tmp_path_factory.mktemp("tls")).issue().path
    return Certificate(path, path)


@contextmanager
def attacking(name: str, server: ChatServer) -> Iterator[Attacker]:
    """Attack a server in a thread until the context ends."""
    attacker = Attacker(server.address)
    thread = threading.Thread(target=ATTACKS[name].run, args=(attacker,))
    thread.start()
    try:
        yield attacker
    finally:
        attacker.over.set()
        thread.join()
        attacker.close()


def chat(pair: list[WireClient], number: int) -> None:
    """Send a line from each user; both receive both in the same order, among the lines of attackers."""
    for wire in pair:
        wire.send(f"line {number}")
    received = [
        [wire.read_match(rf"/say \S+ \d+ \d+ ({'|'.join(NAMES)}) \S+ line {number}$") for _ in pair] for wire in pair
    ]
    assert received[0] == received[1]
    assert {line.split()[4] for line in received[0]} == set(NAMES)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_reaches_the_server_and_users_do_not_notice(
    name: str, tmp_path: Path, certificate: Certificate
) -> None:
    """The evidence reaches its threshold while every line of two users arrives in order."""
    attack = ATTACKS[name]
    context = unverified_context() if attack.server == "tls" else None
    with (
        captured_log() as log,
        serving(
            limits=Limits(loopback_exempt=attack.server != "strict", grace_seconds=0),
            journal=SqliteJournal(tmp_path / "journal.db"),
            certificate=certificate if attack.server == "tls" else None,
        ) as server,
        WireClient(server.address, NAMES[0], context=context) as alice,
        WireClient(server.address, NAMES[1], context=context) as bob,
    ):
        monitor = ServerMonitor(os.getpid())
        number = 0

        def is_proven() -> bool:
            nonlocal number
            number += 1
            chat([alice, bob], number)
            monitor.sample()
            evidence = monitor.most + count_log_words(message.rstrip("\n") for message in log)
            return number >= LINES and attack.threshold.is_reached(evidence + attacker.evidence)

        with attacking(name, server) as attacker:
            assert eventually(is_proven), attacker.evidence
