"""What a person costs in a chat of many servers: `python3 -m benchmarks.cluster_cost [--people 2000]`.

Everybody comes to one of two servers, and then goes to one of 100 rooms. Printed is what the *other* server, which
serves nobody, and Redis need for that: memory a person, CPU time a change. It starts a Redis and both servers, on
loopback, and ends them.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.load_clients import Crowd
from benchmarks.measure import JOIN_SECONDS, LULL_SECONDS, Usage, settle
from benchmarks.systems import UNLIMITED, raise_descriptor_limit
from benchmarks.wire_formats import DIALECTS
from testing.redis_server import RedisServer
from testing.server import ServerProcess

ROOMS = 100
IN_FLIGHT = 100


class Look:
    """What the other server and Redis have used up to now."""

    def __init__(self, server: ServerProcess, redis_server: RedisServer) -> None:
        usage, redis = Usage(server.process.pid), redis_server.client().info()
        self.server_bytes, self.server_seconds = usage.resident_bytes(), usage.cpu_seconds()
        self.redis_bytes = int(redis["used_memory"])
        self.redis_seconds = float(redis["used_cpu_user"]) + float(redis["used_cpu_sys"])


def tell(what: str, people: int, before: Look, after: Look) -> None:
    """Print a row."""
    server = (
        (after.server_bytes - before.server_bytes) / people,
        (after.server_seconds - before.server_seconds) / people,
    )
    redis = (after.redis_bytes - before.redis_bytes) / people, (after.redis_seconds - before.redis_seconds) / people
    for who, (size, seconds) in (("the other server", server), ("Redis", redis)):
        print(f"{what:24} {who:18} {size:8,.0f} bytes {seconds * 1e6:8,.0f} µs CPU")


def rest(server: ServerProcess) -> None:
    """Wait until a server has worked off everything."""
    usage = Usage(server.process.pid)
    before = -1.0
    while usage.cpu_seconds() != before:
        before = usage.cpu_seconds()
        time.sleep(LULL_SECONDS)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--people", type=int, default=2_000)
    people = options.parse_args().people
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory() as name, RedisServer(Path(name)) as redis_server:
        folders = [Path(name) / server for server in "ab"]
        for folder in folders:
            folder.mkdir()
        command = ("--cluster", redis_server.url, *UNLIMITED)
        with (
            ServerProcess(folders[0], *command) as serving,
            ServerProcess(folders[1], *command) as other,
            Crowd(serving.address, DIALECTS["ours"]) as crowd,
        ):
            rest(other)
            start = Look(other, redis_server)
            crowd.enter(people, 1, IN_FLIGHT, JOIN_SECONDS)
            rest(other)
            come = Look(other, redis_server)
            tell("a person who came", people, start, come)
            for number, client in enumerate(crowd.inside):
                crowd.say(client, f"/join r{number % ROOMS}\n".encode())
                crowd.pump(0)
            settle(crowd, LULL_SECONDS)
            rest(other)
            tell("a person who changes room", people, come, Look(other, redis_server))


if __name__ == "__main__":
    main()
