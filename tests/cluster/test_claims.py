"""Claims on sessions and names, against a real Redis."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from hubbub.server.cluster import scripts
from hubbub.server.cluster.claims import Claims
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.journal.journal import JournalError
from tests.cluster.servers import needs_redis

pytestmark = needs_redis
ALICE, BOB = "aa" * 16, "bb" * 16


@pytest.fixture
def clients(url: str) -> Iterator[list[RedisClient]]:
    """Return the clients of two servers."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(RedisClient(url, "chat", server))) for server in ("one", "two")]


@pytest.fixture
def pair(clients: list[RedisClient]) -> list[Claims]:
    """Return the claims of two servers."""
    return [Claims(client) for client in clients]


def test_second_claim_of_a_name_is_refused(pair: list[Claims]) -> None:
    """Also of one that looks like it, at the same server or another."""
    one, two = pair
    assert one.claim(ALICE, "alice", "")
    assert not two.claim(BOB, "alice", "")
    assert not one.claim(BOB, "\u0430lice", "")
    assert two.claim(BOB, "bob", "")


def test_rival_gives_way(pair: list[Claims]) -> None:
    """Its name is free for the claim."""
    one, two = pair
    one.claim(ALICE, "alice", "")
    assert two.claim(BOB, "alice", ALICE)


def test_released_session_frees_its_name(pair: list[Claims]) -> None:
    """A session that falls back to its name keeps that."""
    one, two = pair
    one.claim(ALICE, "alice", "")
    one.claim(ALICE, "carol", "")
    one.release(ALICE, "alice")
    assert not two.claim(BOB, "alice", "")
    assert two.claim(BOB, "carol", "")
    one.release(ALICE, "")
    assert two.claim(BOB, "alice", "")


def test_claim_again_after_another_server_took_the_session(pair: list[Claims]) -> None:
    """Refused for the session that is lost, granted for the other."""
    one, two = pair
    one.claim(ALICE, "alice", "")
    one.claim(BOB, "bob", "")
    two.claim(ALICE, "alice", "")
    assert one.claim_again([(ALICE, "alice"), (BOB, "bob")]) == [False, True]


def test_event_before_a_claim_is_outdated(pair: list[Claims], clients: list[RedisClient]) -> None:
    """Until the events were read up to the claim."""
    one, two = pair
    two.claim(ALICE, "alice", "")
    two.release(ALICE, "")  # an event
    before = clients[0].last_event()
    one.claim(ALICE, "alice", "")
    assert one.is_outdated(ALICE, before)
    one.note_read(before)
    assert not one.is_outdated(ALICE, before)


def test_release_without_redis_is_done_later(
    pair: list[Claims], clients: list[RedisClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the member is back here by then."""
    one, two = pair
    one.claim(ALICE, "alice", "")
    one.claim(BOB, "bob", "")
    with monkeypatch.context() as patch:
        patch.setattr(clients[0], "run_script", _raise)
        one.release(ALICE, "")
        one.release(BOB, "")
    one.retry(lambda token_hash: token_hash == bytes.fromhex(BOB))
    assert two.claim("cc" * 16, "alice", "")
    assert not two.claim("dd" * 16, "bob", "")


def _raise(*_: object) -> None:
    raise JournalError("away")


def test_scripts_have_different_texts() -> None:
    """They are looked up by it."""
    assert len(set(scripts.ALL)) == len(scripts.ALL)
