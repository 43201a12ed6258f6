"""The Redis client: sends commands to Redis, with a timeout for each wait and one kind of error."""

import re
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from loguru import logger
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel

from hubbub.server.cluster import scripts
from hubbub.server.journal.journal import JournalError

ASK_SECONDS = 2.0  # until Redis must answer
OLDEST = (7, 0)  # supported version of Redis: the scripts are tested with it
AT_ONCE = 16  # requests at the same time, each on its connection; Redis answers one after the other
QUEUE_SECONDS = 10.0  # for a slot: when thousands sign in at once, this takes longer than an answer
HEADROOM = 0.9  # the part of maxmemory that may be in use at the start

Argument = str | bytes | int | float
Entries = list[tuple[str, dict[bytes, bytes]]]  # of a stream: ids and fields
Found = dict[str, Entries]  # by stream

_HOST = re.compile(r"(\[[^]@]*\]|[^:@\[\]]*)(:[0-9]*)?")  # in a URL, with its port
_OPTION = re.compile("[^=@]+=.*")  # in a URL


class RedisClient:
    """Asks Redis for a chat. Any thread. Every method raises JournalError if Redis cannot be reached or refuses.

    After Redis could not be reached, all other methods raise at once until `renew_lease` succeeds. So only the thread
    that renews the lease waits for Redis.
    """

    def __init__(self, url: str, chat: str, server: str, beside: "RedisClient | None" = None) -> None:
        """`chat` is the name of the chat, `server` the id of this server.

        Only a Redis Cluster is connected already, to get its nodes.

        Two clients `beside` each other share whether Redis can be reached. Each has its own connections, so neither
        waits for the users of the other.
        """
        self.url = without_password(url)
        self.prefix = f"{{chat:{chat}}}:"
        self.server = server
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._reachable: threading.Event = beside._reachable if beside else threading.Event()
        self._reachable.set()
        self.trouble: threading.Event = beside.trouble if beside else threading.Event()  # set if Redis is not reached
        with self._raising_journal_errors():
            self._redis: Any = connect(url, ASK_SECONDS)
            self._scripts = {script: self._redis.register_script(scripts.complete(script)) for script in scripts.ALL}

    def key(self, name: str) -> str:
        """Return the full key in Redis of `name`, as listed in scripts.py."""
        return self.prefix + name

    def inbox_key(self, server: str) -> str:
        """Return the key of a server's inbox."""
        return self.key(f"inbox:{server}")

    def run_script(self, script: str, *arguments: Argument) -> Any:
        """Run one of `scripts` and return its result."""
        with self._slot(), self._raising_journal_errors():
            return self._scripts[script]([self.key("meta")], [self.prefix, self.server, *arguments])

    def execute(self, *command: Argument) -> Any:
        """Execute a command and return its result."""
        with self._slot(), self._raising_journal_errors():
            return self._redis.execute_command(*command)

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, 0 if there is none."""
        return int(self.execute("HGET", self.key("last"), key) or 0)

    def last_event(self) -> str:
        """Return the id of the last event."""
        entries = self.execute("XREVRANGE", self.key(scripts.EVENTS), "+", "-", "COUNT", 1)
        return str(entries[0][0].decode()) if entries else "0-0"

    def wake_follower(self) -> None:
        """Send a request to this server's follower, so that it checks which rooms it reads and whether to stop."""
        inbox = self.inbox_key(self.server)
        self.execute("XADD", inbox, "MAXLEN", "~", scripts.INBOX_STORED, "*", "do", "look")

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Wait for one of AT_ONCE slots for requests."""
        if not self._slots.acquire(timeout=QUEUE_SECONDS):
            raise JournalError(f"too many requests wait for Redis at {self.url}; trying again")
        try:
            if not self._reachable.is_set():
                raise JournalError(f"cannot reach Redis at {self.url}; trying again")
            yield
        finally:
            self._slots.release()

    def renew_lease(self, seconds: float) -> tuple[bool, list[str]]:
        """Renew the lease of this server; return whether it was still valid, and the servers without a lease."""
        self._reachable.set()
        had_lease, *dead = self.run_script(scripts.RENEW, int(seconds * 1000))
        return bool(had_lease), [server.decode() for server in dead]

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()

    @contextmanager
    def _raising_journal_errors(self) -> Iterator[None]:
        try:
            yield
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if not isinstance(error, redis.AuthenticationError):
                self._note_trouble()
            raise JournalError(f"cannot reach Redis at {self.url}: {error}") from error
        except RedisClusterException as error:  # not a RedisError: no node answers, or no node has the slot
            self._note_trouble()
            raise JournalError(f"cannot reach Redis at {self.url}: {error}") from error
        except redis.RedisError as error:
            raise JournalError(f"Redis at {self.url} refuses: {error}") from error
        except (ValueError, TypeError) as error:  # TypeError: the URL has an unknown option
            raise JournalError(f"{self.url!r} is not the URL of a Redis: {error}") from error

    def _note_trouble(self) -> None:
        self._reachable.clear()
        self.trouble.set()

    # --------------------------------------------------------------------------------------------------- the start

    def open_chat(self, identity: str) -> bool:
        """Check that this Redis is suitable; if the chat is not there yet, create it with `identity`.

        Return whether it was created. Raises JournalError, with what to do.
        """
        self._check_version()
        self._check_memory()
        found = self.run_script(scripts.OPEN_CHAT, scripts.APPLICATION, scripts.FORMAT, identity).decode()
        if found == "made":
            return True
        if found == "foreign":
            raise JournalError(
                f"the keys {self.prefix}* in the Redis at {self.url} belong to another program; "
                "choose another --cluster-name"
            )
        if found:
            raise JournalError(
                f"the data under {self.prefix} in the Redis at {self.url} has {found}, and this version reads "
                f"format {scripts.FORMAT}; choose another --cluster-name, or run the version that wrote it"
            )
        return False

    def _info(self, section: str) -> dict[str, Any]:
        with self._raising_journal_errors():
            found: dict[str, Any] = self._redis.info(section)
        # A Redis Cluster answers for each of its nodes.
        return next(iter(found.values())) if all(isinstance(value, dict) for value in found.values()) else found

    def _check_version(self) -> None:
        version = str(self._info("server")["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            raise JournalError(f"the Redis at {self.url} is version {version}; install 7.0 or newer")

    def _check_memory(self) -> None:
        memory = self._info("memory")
        most, used = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
        if most and memory.get("maxmemory_policy") != "noeviction":
            raise JournalError(
                f"the Redis at {self.url} drops data when its memory is full; set its maxmemory-policy to noeviction"
            )
        if most and used > HEADROOM * most:
            raise JournalError(
                f"the Redis at {self.url} has {used / 1e6:.0f} MB of its maxmemory of {most / 1e6:.0f} MB in use; "
                "raise it, or keep less (--keep-days, --keep-lines)"
            )

    def durability_warning(self) -> str:
        """Return a warning if this Redis loses data when it restarts; empty if it does not."""
        if int(self._info("persistence").get("aof_enabled", 0)):
            return ""
        return f"the Redis at {self.url} loses everything when it restarts; start it with --appendonly yes"


class Reader:
    """A connection that waits for entries of streams. For one thread."""

    def __init__(self, url: str, seconds: float) -> None:
        """Wait for at most `seconds` at a time."""
        self._seconds = seconds
        self._redis: Any = connect(url, seconds + ASK_SECONDS)

    def read(self, positions: dict[str, str], count: int) -> Found:
        """Return what was added after `positions`, ids by stream, at most `count` entries each; empty if nothing was.

        Raises redis.RedisError.
        """
        found = self._redis.xread(positions, count=count, block=int(self._seconds * 1000))
        return {
            stream.decode(): [(id_.decode(), fields or {}) for id_, fields in entries]
            for stream, entries in found or []
        }

    def interrupt(self) -> None:
        """Make `read` raise. Any thread."""
        self._redis.connection_pool.disconnect(inuse_connections=True)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


@contextmanager
def log_bad_entries() -> Iterator[None]:
    """Log any exception, and go on. Its reason is a bug, or data of another version."""
    try:
        yield
    except Exception:  # noqa: BLE001  # the rest must go on
        logger.exception("an entry from another server is skipped")


def connect(url: str, seconds: float) -> Any:
    """Return a client for a URL: redis, rediss, unix; redis+cluster; redis+sentinel://HOST:PORT,…/MASTER.

    An answer may take `seconds`. Raises ValueError.
    """
    options: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": ASK_SECONDS,
        "retry": Retry(NoBackoff(), 0),  # the caller repeats commands
        "protocol": 2,
    }
    scheme, _, rest = url.partition("://")
    if scheme != "unix" and not _is_unambiguous(url):
        raise ValueError("write the characters /, ?, # and @ of a password as %2F, %3F, %23 and %40")
    if scheme in ("redis+cluster", "rediss+cluster"):
        return RedisCluster.from_url(f"{scheme.removesuffix('+cluster')}://{rest}", **options)
    if scheme == "redis+sentinel":
        hosts, _, master = rest.partition("/")
        if not master or "?" in master:
            raise ValueError("a redis+sentinel URL ends with the name of the master, without options")
        sentinel: Any = Sentinel  # which has no types
        return sentinel([*map(_host, hosts.split(","))], sentinel_kwargs=options, **options).master_for(master)
    return redis.Redis.from_url(url, **options)


def _host(text: str) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or 26_379


def without_password(url: str) -> str:
    """Return a URL with its passwords, the values of its options, and what could be a part of them hidden."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        return "***"
    if not _is_unambiguous(url):
        return f"{scheme}://***"
    parts = urllib.parse.urlsplit(url)
    netloc = parts.netloc
    if parts.password is not None:
        netloc = f"{parts.username or ''}:***@{netloc.rpartition('@')[2]}"
    options = re.sub("=[^&]*", "=***", parts.query)
    return f"{scheme}://{netloc}{parts.path}" + (f"?{options}" if options else "")


def _is_unambiguous(url: str) -> bool:
    """Return whether it is clear where the password of a URL ends: an unescaped `/`, `?` or `#` in it seems to."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return False
    hosts, options = parts.netloc.rpartition("@")[2], parts.query.split("&") if parts.query else []
    return (
        all(_HOST.fullmatch(host) for host in hosts.split(","))
        and all(_OPTION.fullmatch(option) for option in options)
        and "@" not in parts.path
        and not parts.fragment
    )
