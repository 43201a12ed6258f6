"""The baseline: what sending the same bytes to the same sockets costs without a chat. `python3 -m benchmarks.baseline`.

A bare epoll loop in Python. It knows which client is in which room and puts the same prefix before each line as our
server. It parses, numbers and stores nothing. What arrives for a room in one round goes out with one send a member, as
in our server.
"""

import select
import socket
import sys
from collections import deque

LISTEN_BACKLOG = 1_024
RECV_BYTES = 65_536
IN, OUT = select.EPOLLIN, select.EPOLLOUT


class Member:
    """A connection, its room, the line that has not ended, and what its socket did not take."""

    __slots__ = ("backlog", "partial", "room", "socket")

    def __init__(self, connection: socket.socket, room: "Room") -> None:
        self.socket = connection
        self.room = room
        self.partial = b""
        self.backlog: deque[memoryview] = deque()


class Room:
    """The members of a room, and what the next batch sends to all."""

    __slots__ = ("batch", "members", "prefix")

    def __init__(self, name: str) -> None:
        self.prefix = f"/say {name} 1234567 1763804400123 c12 red ".encode()
        self.members: set[Member] = set()
        self.batch: list[bytes] = []


class BaselineServer:
    """The server: an epoll loop that forwards lines."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._epoll = select.epoll()
        self._epoll.register(listener, IN)
        self._members: dict[int, Member] = {}
        self._rooms: dict[str, Room] = {}
        self._rooms_to_flush: set[Room] = set()

    def run(self) -> None:
        """Serve until the process is killed."""
        while True:
            for descriptor, event in self._epoll.poll():
                member = self._members.get(descriptor)
                if member is None:
                    self._accept()
                    continue
                if event & OUT:
                    self._send_backlog(member)
                if event & ~OUT:
                    self._receive(member)
            for room in self._rooms_to_flush:
                self._flush(room)
            self._rooms_to_flush.clear()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._members[connection.fileno()] = Member(connection, Room(""))
        self._epoll.register(connection, IN)

    def _receive(self, member: Member) -> None:
        try:
            data = member.socket.recv(RECV_BYTES)
        except OSError:
            data = b""
        if not data:
            self._disconnect(member)
        elif data.startswith(b"/"):
            self._run_command(member, data.decode())
        else:
            self._queue_lines(member, data)

    def _run_command(self, member: Member, line: str) -> None:
        """Move a client to the lobby or to another room, or disconnect it; a command arrives as one line."""
        word, argument, *_ = [*line.split(), ""]
        if word == "/exit":
            self._disconnect(member)
            return
        name = argument if word == "/join" else "lobby"
        member.room.members.discard(member)
        member.room = self._rooms.setdefault(name, Room(name))
        member.room.members.add(member)
        member.socket.send(f"/entered {name} 0 1 -\n".encode())

    def _queue_lines(self, member: Member, data: bytes) -> None:
        data = member.partial + data
        end = data.rfind(b"\n")
        member.partial = data[end + 1 :]
        if end >= 0:
            prefix = member.room.prefix
            member.room.batch.append(prefix + data[:end].replace(b"\n", b"\n" + prefix) + b"\n")
            self._rooms_to_flush.add(member.room)

    def _flush(self, room: Room) -> None:
        data = b"".join(room.batch)
        room.batch.clear()
        for member in room.members:
            if member.backlog:
                member.backlog.append(memoryview(data))
            elif (sent := self._send(member, data)) != len(data):
                member.backlog.append(memoryview(data)[sent:])
                self._epoll.modify(member.socket, IN | OUT)

    def _send_backlog(self, member: Member) -> None:
        while member.backlog:
            data = member.backlog[0]
            sent = self._send(member, data)
            if sent != len(data):
                member.backlog[0] = data[sent:]
                return
            member.backlog.popleft()
        self._epoll.modify(member.socket, IN)

    def _send(self, member: Member, data: bytes | memoryview) -> int:
        try:
            return member.socket.send(data)
        except OSError:  # full, or closed: the next read finds out
            return 0

    def _disconnect(self, member: Member) -> None:
        member.room.members.discard(member)
        del self._members[member.socket.fileno()]
        member.socket.close()


def main() -> None:
    """Listen on a free port and print it."""
    with socket.create_server(("127.0.0.1", 0), backlog=LISTEN_BACKLOG) as listener:
        sys.stdout.write("listening on {}:{}\n".format(*listener.getsockname()))
        sys.stdout.flush()
        BaselineServer(listener).run()


if __name__ == "__main__":
    main()
