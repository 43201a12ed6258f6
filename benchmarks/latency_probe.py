"""Ten clients in the lobby that measure delays: `python3 -m benchmarks.latency_probe HOST PORT tls|plain`.

They chat until standard input ends. It prints JSON: for each line when it was sent (monotonic clock) and how many
seconds later its sender received it, and whether all clients received all lines of each sender in order.
"""

import json
import re
import selectors
import socket
import ssl
import sys
import time

from testing.certificates import unverified_context

CLIENTS = 10
INTERVAL_SECONDS = 0.11  # between two lines of a client; just below the server's rate limit
DRAIN_SECONDS = 2.0  # for the last lines to arrive
_LINE = re.compile(rb"/say \S+ \d+ \d+ h(\d+) \S+ (\d+)\n")


class ProbeClient:
    """A client that sends numbered lines and records their delays."""

    def __init__(self, address: tuple[str, int], number: int, context: ssl.SSLContext | None) -> None:
        self.number = number
        self.socket: socket.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket)
        self.socket.sendall(f"/name h{number}\n".encode())
        self._partial = b""
        while b"/entered " not in self._partial:
            self._partial += self.socket.recv(65_536)
        self.socket.setblocking(False)
        self.sent_at: list[float] = []
        self.delays: list[tuple[float, float]] = []
        self.received: dict[int, list[int]] = {}  # numbers of lines by sender

    def send_line(self) -> None:
        """Send the next line."""
        self.sent_at.append(time.monotonic())
        self.socket.send(f"{len(self.sent_at) - 1}\n".encode())

    def receive(self) -> None:
        """Read what has arrived."""
        try:
            while data := self.socket.recv(65_536):
                self._record(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass

    def _record(self, data: bytes) -> None:
        now = time.monotonic()
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if match := _LINE.match(line + b"\n"):
                sender, count = int(match[1]), int(match[2])
                self.received.setdefault(sender, []).append(count)
                if sender == self.number:
                    self.delays.append((self.sent_at[count], now - self.sent_at[count]))


def chat(clients: list[ProbeClient]) -> None:
    """Send a line from each client in turn and read all lines, until standard input ends and DRAIN_SECONDS after."""
    start, turn = time.monotonic(), 0
    end: float | None = None
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while end is None or time.monotonic() < end:
            turn_at = start + turn * INTERVAL_SECONDS / len(clients) if end is None else end
            if end is None and time.monotonic() >= turn_at:
                clients[turn % len(clients)].send_line()
                turn += 1
            for key, _ in selector.select(max(0.0, turn_at - time.monotonic())):
                if key.data:
                    key.data.receive()
                else:
                    end = time.monotonic() + DRAIN_SECONDS
                    selector.unregister(sys.stdin)


def main() -> None:
    """Chat, then print the delays."""
    host, port, kind = sys.argv[1:]
    context = unverified_context() if kind == "tls" else None
    clients = [ProbeClient((host, int(port)), number, context) for number in range(CLIENTS)]
    print("ready", flush=True)
    chat(clients)
    expected = {client.number: list(range(len(client.sent_at))) for client in clients}
    in_order = all(client.received == expected for client in clients)
    print(json.dumps({"delays": [pair for client in clients for pair in client.delays], "in_order": in_order}))


if __name__ == "__main__":
    main()
