"""Test that a cluster loses and doubles no message: `python3 -m tests.stories.cluster_story [--kills 30] [--seed 1]`.

Three servers are one chat. Eight clients that know all three post numbered lines in three rooms through proxies that
delay data and close connections. In turns, a server is killed with SIGKILL and another one started in its place; the
network between a server and Redis is paused for longer than a lease; Redis is killed and started again with its data.
At the end every client must have seen every line of its room exactly once, all in the same order, and Redis must hold
exactly these lines. It uses only loopback, needs redis-server, and stops all processes.
"""

import sys
import threading
from contextlib import ExitStack

from hubbub.server.cluster.node import ClusterBackend
from testing.cluster_server import LEASE_SECONDS
from testing.redis_server import PausableRelay, RedisServer
from testing.server import ServerProcess
from tests.stories.story import Proxy, Story, main, stored_lines

SERVERS = 3
PAUSE_SECONDS = 2 * LEASE_SECONDS


class ClusterStory(Story):
    """One run of the story with a cluster."""

    def _open(self, stack: ExitStack) -> str:
        (self._folder / "redis").mkdir()
        self._redis = stack.enter_context(RedisServer(self._folder / "redis"))
        self._relays = [stack.enter_context(PausableRelay(self._redis.port)) for _ in range(SERVERS)]
        self._proxies = [stack.enter_context(Proxy(self._rng)) for _ in range(SERVERS)]
        self._servers: dict[int, ServerProcess] = {}
        stack.callback(self._stop_servers)
        for number in range(SERVERS):
            (self._folder / f"server{number}").mkdir()
            self._start(number)
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self._proxies)

    def _start(self, number: int) -> None:
        options = ("--rate", "0", "--cluster", self._relays[number].url)
        module = "testing.cluster_server"
        self._servers[number] = ServerProcess(self._folder / f"server{number}", *options, module=module)
        self._proxies[number].target = self._servers[number].address

    def _stop_servers(self) -> None:
        for server in self._servers.values():
            server.stop()

    def _disrupt(self, kill: int) -> None:
        number = self._rng.randrange(SERVERS)
        if kill % 4 == 1:
            self._redis.kill()
            self._redis.start()
        elif kill % 4 == 3:
            self._relays[number].pause()
            threading.Event().wait(PAUSE_SECONDS)  # longer than a lease, which is what the story tests
            self._relays[number].resume()
        else:
            self._proxies[number].target = None
            self._servers[number].process.kill()
            self._servers[number].process.communicate()
            self._start(number)

    def _stored_lines(self, room: str) -> list[bytes]:
        cluster = ClusterBackend(self._redis.url, "chat")
        try:
            return stored_lines(cluster.journal, room)
        finally:
            cluster.stop()


if __name__ == "__main__":
    sys.exit(main(ClusterStory))
