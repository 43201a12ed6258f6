"""Rough speed of the fan-out: one room of 100 clients, 4 of whom flood it with 64-byte messages.

    python3 -m benchmarks.fanout [--clients 100] [--flooders 4] [--seconds 5] [--runs 5]

Runs with the journal in memory and in SQLite take turns, so that both see the same machine. It starts a chat_server.py
of its own on a free port, talks to loopback only, ends with the medians and leaves no process. A delivery is one
message arriving at one client.
"""

import argparse
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHAT_SERVER = Path(__file__).parents[1] / "chat_server.py"
MESSAGE = b"x" * 63 + b"\n"
BLOCK = MESSAGE * 1_024  # what a flooder offers at once
BUFFER_BYTES = 1_048_576
WARM_UP_SECONDS = 1.0  # not counted


@contextmanager
def server(*options: str) -> Iterator[tuple[str, int]]:
    """Run a chat server without a rate limit and yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(CHAT_SERVER), "--port", "0", "--rate", "0", *options]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            host, _, port = process.stdout.readline().removeprefix("listening on ").strip().rpartition(":")
            yield host, int(port)
        finally:
            process.terminate()
            process.communicate(timeout=10)


def connect(address: tuple[str, int], name: str) -> socket.socket:
    """Return a connection that has entered the lobby."""
    connection = socket.create_connection(address)
    connection.sendall(f"/name {name}\n".encode())
    seen = b""
    while b"/entered " not in seen:
        seen += connection.recv(65_536)
    connection.setblocking(False)
    return connection


def flood(address: tuple[str, int], clients: int, flooders: int, seconds: float) -> float:
    """Return the deliveries a second of one run."""
    connections = [connect(address, f"c{number}") for number in range(clients)]
    buffer = bytearray(BUFFER_BYTES)
    selector = selectors.DefaultSelector()
    unsent = dict.fromkeys(connections[:flooders], BLOCK)
    for connection in connections:
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        selector.register(connection, both if connection in unsent else selectors.EVENT_READ, connection)
    start = time.monotonic() + WARM_UP_SECONDS
    end = start + seconds
    count = 0
    while (now := time.monotonic()) < end:
        for key, events in selector.select(0.1):
            peer: socket.socket = key.data
            if events & selectors.EVENT_WRITE:
                sent = peer.send(unsent[peer])
                unsent[peer] = unsent[peer][sent:] or BLOCK
            if events & selectors.EVENT_READ:
                size = peer.recv_into(buffer)
                if now >= start:
                    count += buffer.count(b"\n", 0, size)
    for connection in connections:
        connection.close()
    selector.close()
    return count / (time.monotonic() - start)


JOURNALS = {"in memory": ("--journal", "none"), "SQLite": ()}


def main() -> None:
    """Print the medians of several runs, each on a server of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clients", type=int, default=100)
    options.add_argument("--flooders", type=int, default=4)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    rates: dict[str, list[float]] = {journal: [] for journal in JOURNALS}
    for _ in range(given.runs):
        for journal, server_options in JOURNALS.items():
            with server(*server_options) as address:
                rates[journal].append(flood(address, given.clients, given.flooders, given.seconds))
    medians = {journal: statistics.median(runs) for journal, runs in rates.items()}
    for journal, median in medians.items():
        spread = " ".join(f"{rate / 1e6:.1f}" for rate in sorted(rates[journal]))
        print(f"journal {journal:9} {median / 1e6:5.1f} million deliveries/s, median of {spread}")
    print(f"SQLite / in memory {medians['SQLite'] / medians['in memory']:.2f}")


if __name__ == "__main__":
    main()
