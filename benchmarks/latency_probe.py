"""Ten honest people in the lobby, who measure: `python3 -m benchmarks.latency_probe HOST PORT tls|plain`.

They chat until standard input ends. Prints JSON: for each line when it was said (monotonic clock) and how many seconds
later its author had it, and whether everybody got the lines of all of them, in the order in which they were said.
"""

import json
import re
import selectors
import socket
import ssl
import sys
import time

from testing.certificates import unverified_context

PEOPLE = 10
INTERVAL_SECONDS = 0.11  # between two lines of one; a little less than what the server slows down
LAST_SECONDS = 2.0  # for the last lines to arrive
_LINE = re.compile(rb"/say \S+ \d+ \d+ h(\d+) \S+ (\d+)\n")


class Person:
    """One of them."""

    def __init__(self, address: tuple[str, int], number: int, context: ssl.SSLContext | None) -> None:
        self.number = number
        self.socket: socket.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket)
        self.socket.sendall(f"/name h{number}\n".encode())
        self._rest = b""
        while b"/entered " not in self._rest:
            self._rest += self.socket.recv(65_536)
        self.socket.setblocking(False)
        self.said: list[float] = []
        self.delays: list[tuple[float, float]] = []
        self.heard: dict[int, list[int]] = {}

    def say(self) -> None:
        """Say the next line."""
        self.said.append(time.monotonic())
        self.socket.send(f"{len(self.said) - 1}\n".encode())

    def hear(self) -> None:
        """Take what has arrived."""
        try:
            while data := self.socket.recv(65_536):
                self._take(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass

    def _take(self, data: bytes) -> None:
        now = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if match := _LINE.match(line + b"\n"):
                author, count = int(match[1]), int(match[2])
                self.heard.setdefault(author, []).append(count)
                if author == self.number:
                    self.delays.append((self.said[count], now - self.said[count]))


def chat(people: list[Person]) -> None:
    """Say a line each, in turns, and hear what all say, until standard input ends and the last lines have come."""
    start, turn = time.monotonic(), 0
    end: float | None = None
    with selectors.DefaultSelector() as selector:
        for person in people:
            selector.register(person.socket, selectors.EVENT_READ, person)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while end is None or time.monotonic() < end:
            turn_at = start + turn * INTERVAL_SECONDS / len(people) if end is None else end
            if end is None and time.monotonic() >= turn_at:
                people[turn % len(people)].say()
                turn += 1
            for key, _ in selector.select(max(0.0, turn_at - time.monotonic())):
                if key.data:
                    key.data.hear()
                else:
                    end = time.monotonic() + LAST_SECONDS
                    selector.unregister(sys.stdin)


def main() -> None:
    """Chat and tell."""
    host, port, kind = sys.argv[1:]
    people = [
        Person((host, int(port)), number, unverified_context() if kind == "tls" else None) for number in range(PEOPLE)
    ]
    print("ready", flush=True)
    chat(people)
    everything = {person.number: list(range(len(person.said))) for person in people}
    in_order = all(person.heard == everything for person in people)
    print(json.dumps({"delays": [pair for person in people for pair in person.delays], "in_order": in_order}))


if __name__ == "__main__":
    main()
