"""The shared journal."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from hubbub.protocol import Said
from hubbub.server.cluster.journal import ClusterJournal
from hubbub.server.cluster.node import ClusterBackend
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.cluster.subscriptions import Subscriptions
from hubbub.server.delivery.actions import Post
from hubbub.server.delivery.room_log import RoomLog
from hubbub.server.journal.journal import JournalError
from testing.delivery import ROOM
from testing.redis_server import RedisServer
from testing.server import serving
from testing.wire_client import WireClient
from tests.cluster.servers import needs_redis

pytestmark = needs_redis


@pytest.fixture
def client(url: str) -> Iterator[RedisClient]:
    """Return a client of a chat without lines."""
    with closing(RedisClient(url, "chat", "id")) as made:
        made.open_chat("identity")
        yield made


@pytest.fixture
def journal(client: RedisClient) -> ClusterJournal:
    return ClusterJournal(client, client, Subscriptions(client, lambda: None))


def post_after(seq: int) -> Post:
    """Return a post of one line without a number, in a room whose lines are known up to `seq`."""
    return Post(ROOM, Said, "bob", "red", ["hi"], log=RoomLog(ROOM.key, ROOM.name, seq))


def test_batch_whose_answer_is_lost_is_stored_once(
    journal: ClusterJournal, client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery thread repeats it."""
    run_script = client.run_script

    def run_without_answer(*arguments: Any) -> None:
        run_script(*arguments)
        raise JournalError("the answer is lost")

    with monkeypatch.context() as patch:
        patch.setattr(client, "run_script", run_without_answer)
        with pytest.raises(JournalError):
            journal.store([post_after(0)], [], [])
    journal.store([post_after(0)], [], [])
    assert journal.last_seq(ROOM.key) == 1
    journal.store([post_after(1)], [], [])
    assert [(page.first, page.last) for page in journal.read_pages(ROOM.key, 0, 9, 1_000)] == [(1, 1), (2, 2)]


def test_numbers_go_on_in_a_redis_that_has_lost_lines(journal: ClusterJournal) -> None:
    """Before anything else has brought it up to date."""
    journal.store([post_after(7)], [], [])
    assert [(page.first, page.last) for page in journal.read_pages(ROOM.key, 0, 9, 1_000)] == [(8, 8)]


def test_purge_removes_old_and_surplus_lines(redis_server: RedisServer, url: str) -> None:
    """They show as a gap."""
    with (
        serving(backend=ClusterBackend(url, "chat", keep_lines=3)) as server,
        WireClient(server.address, "alice") as alice,
    ):
        for number in range(300):
            alice.send(str(number))
        alice.read_until("/say .* 299$")
        redis_server.client().delete("{chat:chat}:purge")
        server._context.journal.purge()  # type: ignore[attr-defined]
        alice.send("/history 1000")
        lines = alice.read_until("/end history")
        assert lines[0].startswith("/gap lobby 1 ")
        assert len(lines) < 250
        journal = server._context.journal
        journal._clock = lambda: 1e10  # type: ignore[attr-defined]  # much later
        redis_server.client().delete("{chat:chat}:purge")
        journal.purge()  # type: ignore[attr-defined]
        alice.send("/history 1000", "next")
        assert alice.read_until("/end history") == ["/gap lobby 1 300", "/end history"]
        alice.read_until("/say lobby 301 .* next")
