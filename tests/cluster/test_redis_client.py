"""What a server demands of a Redis, and how it is reached."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hubbub.server.cluster.node import ClusterBackend
from hubbub.server.cluster.redis_client import RedisClient, without_password
from hubbub.server.journal.journal import JournalError
from testing.cluster_server import LEASE_SECONDS
from testing.redis_server import RedisServer
from testing.server import ServerProcess, refused, serving
from testing.waiting import eventually
from testing.wire_client import WireClient
from tests.cluster.servers import needs_redis

pytestmark = needs_redis


def test_url_without_a_redis(tmp_path: Path) -> None:
    """One line and exit code 2."""
    assert "cannot reach Redis at redis://127.0.0.1:1/0" in refused("--cluster", "redis://127.0.0.1:1/0", cwd=tmp_path)
    assert "not the URL of a Redis" in refused("--cluster", "nonsense", cwd=tmp_path)
    assert "not both" in refused("--cluster", "redis://127.0.0.1:1/0", "--journal", "x.db", cwd=tmp_path)


def test_wrong_password(tmp_path: Path) -> None:
    """The error is one line, without the password."""
    with RedisServer(tmp_path, "--requirepass", "right") as server:
        line = refused("--cluster", f"redis://:wrong@127.0.0.1:{server.port}/0", cwd=tmp_path)
        assert line.count("\n") == 1
        assert "wrong@" not in line
        assert "invalid username-password pair" in line
        RedisClient(f"redis://:right@127.0.0.1:{server.port}/0", "chat", "id").open_chat("identity")


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:{port}/0?password=hunter2",
        "rediss://host:{port}/?ssl_password=hunter2",
        "redis://:hunter2/x@127.0.0.1:{port}/0",
        "redis://:hunter2#x@127.0.0.1:{port}/0",
        "redis://:hunter2?x@127.0.0.1:{port}/0",
        "redis://:x@hunter2@127.0.0.1:{port}/0?pasword=hunter2",
        "redis+sentinel://127.0.0.1:{port}/main?password=hunter2",
        "hunter2",
    ],
)
def test_password_in_a_url_is_neither_printed_nor_logged(tmp_path: Path, url: str) -> None:
    """Whether the server refuses the URL or does not reach the Redis."""
    error = refused("--port", "0", "--cluster", url.format(port=1), cwd=tmp_path)
    assert error.count("\n") == 1
    assert "hunter2" not in error + (tmp_path / "chat_server.log").read_text()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:secret@host:1/0", "redis://me:***@host:1/0"),
        ("rediss://host/?password=secret&db=2", "rediss://host/?password=***&db=***"),
        ("redis://me:a/b@host:1/0", "redis://***"),
        ("redis+sentinel://:secret@one:1,two:2/main", "redis+sentinel://:***@one:1,two:2/main"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=***"),
        ("redis://host:1/0", "redis://host:1/0"),
        ("nonsense", "***"),
    ],
)
def test_password_in_a_url_is_hidden(url: str, shown: str) -> None:
    """The rest of the URL is shown, unless it cannot be told from the password."""
    assert without_password(url) == shown


def test_unfit_redis(tmp_path: Path) -> None:
    """One that drops data, one that is full, and a warning of one that forgets."""
    with RedisServer(tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        assert "maxmemory-policy to noeviction" in refused("--cluster", server.url, cwd=tmp_path)
        server.client().config_set("maxmemory-policy", "noeviction")
        server.client().config_set("maxmemory", "1mb")
        assert "of its maxmemory of 1 MB in use" in refused("--cluster", server.url, cwd=tmp_path)
        server.client().config_set("maxmemory", "0")
        server.client().config_set("appendonly", "no")
        (tmp_path / "a").mkdir()
        with ServerProcess(tmp_path / "a", "--cluster", server.url) as started:
            assert "loses everything when it restarts" in started.stop()[1]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("application", "another", "belong to another program"), ("format", "2", "has format 2")],
)
def test_foreign_data(redis_server: RedisServer, url: str, key: str, value: str, words: str) -> None:
    """It is left alone."""
    RedisClient(url, "chat", "id").open_chat("identity")
    redis_server.client().hset("{chat:chat}:meta", key, value)
    with pytest.raises(JournalError, match=words):
        ClusterBackend(url, "chat")


def test_two_chats_in_one_redis(url: str) -> None:
    """They do not meet."""
    with (
        serving(backend=ClusterBackend(url, "one")) as one,
        serving(backend=ClusterBackend(url, "two")) as two,
        WireClient(one.address, "alice") as alice,
        WireClient(two.address, "alice") as other,
    ):
        other.send("hi")
        other.read_until("/say lobby 1 .* hi")
        assert alice.sync() == []


@pytest.mark.parametrize("scheme", ["redis+cluster", "redis+sentinel"])
def test_redis_cluster_and_sentinel(tmp_path: Path, scheme: str) -> None:
    """A Redis Cluster, with a chat in one slot, and a Redis whose master a Sentinel knows."""
    with ExitStack() as stack:
        made = clustered(tmp_path) if scheme == "redis+cluster" else watched(tmp_path)
        target, redis_server = stack.enter_context(made)
        url = f"{scheme}://{target}"
        cluster = ClusterBackend(url, "chat", lease_seconds=LEASE_SECONDS)
        with serving(backend=cluster) as server, WireClient(server.address, "alice") as alice:
            alice.send("/post 1 hi", "/join ops", "there", "/history")
            alice.read_until("/say lobby 1 .* hi")
            alice.read_until("/say ops 1 .* there")
            alice.read_until("/end history")
            redis_server.kill()
            with pytest.raises(JournalError, match="cannot reach Redis"):
                ClusterBackend(url, "chat")
            alice.send("/post 2 held")
            alice.read_until("/notice the server cannot write its journal")
            redis_server.start()
            alice.read_until("/say ops 2 .* held")


@contextmanager
def clustered(folder: Path) -> Iterator[tuple[str, RedisServer]]:
    """Run a Redis Cluster of one node."""
    with RedisServer(folder, "--cluster-enabled", "yes") as server:
        client = server.client()
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        assert eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        yield f"127.0.0.1:{server.port}", server


@contextmanager
def watched(folder: Path) -> Iterator[tuple[str, RedisServer]]:
    """Run a Redis and a Sentinel that knows it as `mine`."""
    sentinel = folder / "sentinel"
    sentinel.mkdir()
    config = sentinel / "sentinel.conf"
    with RedisServer(folder) as master:
        config.write_text(f"sentinel monitor mine 127.0.0.1 {master.port} 1\n", encoding="utf-8")
        with RedisServer(sentinel, program=("redis-server", str(config), "--sentinel")) as server:
            yield f"127.0.0.1:{server.port}/mine", master
