"""A server as students write it, with one thread for each client: `python3 -m benchmarks.naive_server`."""

import socket
import threading

names: dict[socket.socket, str] = {}
lock = threading.Lock()


def serve(connection: socket.socket) -> None:
    """Serve one client: pass on each of its lines to all clients until it leaves."""
    with connection, connection.makefile("rb") as lines:
        name = lines.readline().split()[1].decode()
        connection.sendall(b"/entered lobby 0 1 -\n")
        with lock:
            names[connection] = name
        try:
            for line in lines:
                if line.startswith(b"/exit"):
                    break
                with lock:
                    for other in names:
                        other.sendall(f"/say lobby 1234567 1763804400123 {name} red ".encode() + line)
        except OSError:
            pass
        with lock:
            del names[connection]


with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
    print("listening on {}:{}".format(*listener.getsockname()), flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
