"""Several servers as one chat, on one port: `python3 -m benchmarks.cluster_servers COUNT OPTIONS…`.

It starts a Redis, which writes everything to disk before it answers, and COUNT chat servers that share a port. It
prints where they listen, as one server does, and stops all of them on SIGTERM.
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
    """Run the servers until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    count, *options = sys.argv[1:]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(RedisServer(folder))
        reservation = stack.enter_context(socket.socket())  # of a free port that others may share
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind((HOST, 0))
        port = str(reservation.getsockname()[1])
        for number in range(int(count)):
            server_folder = folder / str(number)
            server_folder.mkdir()
            shared = ("--port", port, "--reuse-port", "--cluster", redis.url)
            stack.enter_context(ServerProcess(server_folder, *shared, *UNLIMITED, *options))
        print(f"listening on {HOST}:{port}", flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
