"""The cost of a user in a cluster: `python3 -m benchmarks.cluster_cost [--users 2000]`.

All users connect to one of two servers, then join one of 100 rooms. It prints what the *other* server, which serves no
user, and Redis need for that: memory for each user, CPU time for each change. It starts a Redis and both servers on
loopback and stops them.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.load_clients import LoadClients
from benchmarks.measure import JOIN_SECONDS, QUIET_SECONDS, Usage, wait_until_idle, wait_until_quiet
from benchmarks.systems import UNLIMITED, raise_descriptor_limit
from benchmarks.wire_formats import WIRE_FORMATS
from testing.redis_server import RedisServer
from testing.server import ServerProcess

ROOMS = 100
MAX_PENDING = 100


class Sample:
    """The resources that the other server and Redis have used so far, once both are idle."""

    def __init__(self, server: ServerProcess, redis_server: RedisServer) -> None:
        usage = Usage(server.process.pid)
        wait_until_idle(usage, QUIET_SECONDS)
        redis = redis_server.client().info()
        self.server = usage.resident_bytes(), usage.cpu_seconds()
        self.redis = int(redis["used_memory"]), float(redis["used_cpu_user"]) + float(redis["used_cpu_sys"])


def print_cost(change: str, users: int, before: Sample, after: Sample) -> None:
    """Print what a change costs the other server and Redis, for each user."""
    for system, then, now in (("the other server", before.server, after.server), ("Redis", before.redis, after.redis)):
        size, seconds = ((new - old) / users for old, new in zip(then, now, strict=True))
        print(f"{change:24} {system:18} {size:8,.0f} bytes {seconds * 1e6:8,.0f} µs CPU")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--users", type=int, default=2_000)
    users = options.parse_args().users
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory() as name, RedisServer(Path(name)) as redis_server:
        folders = [Path(name) / server for server in "ab"]
        for folder in folders:
            folder.mkdir()
        command = ("--cluster", redis_server.url, *UNLIMITED)
        with (
            ServerProcess(folders[0], *command) as home,
            ServerProcess(folders[1], *command) as other,
            LoadClients(home.address, WIRE_FORMATS["hubbub"]) as clients,
        ):
            start = Sample(other, redis_server)
            clients.join_all(users, 1, MAX_PENDING, JOIN_SECONDS)
            connected = Sample(other, redis_server)
            print_cost("a user who connects", users, start, connected)
            for number, client in enumerate(clients.joined):
                clients.send(client, f"/join r{number % ROOMS}\n".encode())
                clients.poll(0)
            wait_until_quiet(clients, QUIET_SECONDS)
            print_cost("a user who changes room", users, connected, Sample(other, redis_server))


if __name__ == "__main__":
    main()
