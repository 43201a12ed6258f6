"""Several servers as one, on one port: `python3 -m benchmarks.many_servers COUNT OPTIONS…`.

It starts a Redis of its own and COUNT chat servers that share the port, says where they listen as one of them would,
and ends all of them when it is ended. Redis writes down what it is told, and has it on the disk once a second.
"""

import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.systems import HOST, ROOT, UNLIMITED, stop


@contextmanager
def shared_port() -> Iterator[int]:
    """Hold a free port that others may share."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((HOST, 0))
        yield int(holder.getsockname()[1])


@contextmanager
def program(*command: str, folder: Path, ready: bytes) -> Iterator[None]:
    """Run a program until the context ends; it is entered when the program has said that it is ready."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        while (line := process.stdout.readline()) and ready not in line:
            pass
        if not line:
            raise RuntimeError(f"{command[0]} did not start")
        yield
    finally:
        stop(process)


def main() -> None:
    """Run them until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    count, *options = sys.argv[1:]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with shared_port() as redis_port:
            pass
        files = ("--dir", str(folder), "--save", "", "--appendonly", "yes")
        redis = ("redis-server", "--bind", HOST, "--port", str(redis_port), *files)
        stack.enter_context(program(*redis, folder=folder, ready=b"Ready to accept connections"))
        port = stack.enter_context(shared_port())
        url = f"redis://{HOST}:{redis_port}/0"
        for number in range(int(count)):
            own = folder / str(number)
            own.mkdir()
            server = (sys.executable, str(ROOT / "chat_server.py"), "--port", str(port), "--reuse-port")
            command = (*server, "--cluster", url, *UNLIMITED, *options)
            stack.enter_context(program(*command, folder=own, ready=b"listening on"))
        print(f"listening on {HOST}:{port}", flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
