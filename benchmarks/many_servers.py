"""Several servers as one, on one port: `python3 -m benchmarks.many_servers COUNT OPTIONS…`.

It starts a Redis of its own, which has all that it is told on the disk before it answers, and COUNT chat servers that
share the port; says where they listen, as one of them would, and ends all of them when it is ended.
"""

import signal
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.systems import HOST, UNLIMITED
from testing.redis_server import RedisServer
from testing.server import ServerProcess


def main() -> None:
    """Run them until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    count, *options = sys.argv[1:]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(RedisServer(folder))
        holder = stack.enter_context(socket.socket())  # of a free port that others may share
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((HOST, 0))
        port = str(holder.getsockname()[1])
        for number in range(int(count)):
            own = folder / str(number)
            own.mkdir()
            shared = ("--port", port, "--reuse-port", "--cluster", redis.url)
            stack.enter_context(ServerProcess(own, *shared, *UNLIMITED, *options))
        print(f"listening on {HOST}:{port}", flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
