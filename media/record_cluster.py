"""Record media/cluster.svg: alice and bob on different servers of one cluster, of which one is killed.

Run it as `python3 media/record_cluster.py`; it needs redis-server and what `pip install -e '.[dev]'` installs. Redis,
the servers and both clients are the real ones, and so are the times. The shells call the servers a, b and c; here they
take free ports.
"""

import contextlib
import tempfile
from pathlib import Path

from recorder import (
    COMMAND,
    FINAL_PAUSE,
    LONG_PAUSE,
    READING_PAUSE,
    SHORT_PAUSE,
    RecordedTerminal,
    Recorder,
    Recording,
    Server,
)
from svg import draw

from testing.redis_server import RedisServer

PICTURE = Path(__file__).resolve().parent / "cluster.svg"
TITLE = "Two users on two servers of one cluster; one server is killed, and its client reconnects to a third"
COLORS = {"alice": "teal", "bob": "orange"}


def play(recorder: Recorder) -> None:
    """Play the scene."""
    alice, bob = recorder.terminals["alice"], recorder.terminals["bob"]
    recorder.pause(SHORT_PAUSE)
    recorder.type((alice, f"{COMMAND} a,c"), (bob, f"{COMMAND} b,c"))
    for terminal in (alice, bob):
        terminal.start()
        recorder.await_text("lobby>", terminal)
    recorder.pause(READING_PAUSE)
    recorder.type_line(alice, "hi bob, which server are you on? I'm on a", READING_PAUSE)
    recorder.await_text("on a", bob)
    recorder.type_line(bob, "on b. nobody can tell 😎", READING_PAUSE)
    recorder.await_text("nobody can tell", alice)
    recorder.type((alice, "let's pull its pl"))
    recorder.kill_server()
    recorder.await_text("reconnecting", bob)
    recorder.type_line(alice, "ug 😈", SHORT_PAUSE)
    recorder.type((bob, "I'm on c by "))
    recorder.await_text("· connected", bob)
    recorder.await_text("😈", bob)
    recorder.choose_poster()
    recorder.type_line(bob, "now, and missed nothing", READING_PAUSE)
    recorder.await_text("missed nothing", alice)
    recorder.type_line(alice, "/who", LONG_PAUSE)
    recorder.pause(FINAL_PAUSE)


def record() -> Recording:
    """Play on real terminals and return the recording."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(RedisServer(folder))
        servers = []
        for name in "abc":
            (folder / name).mkdir()
            servers.append(stack.enter_context(Server(folder / name, "--cluster", redis.url)))
        a, b, c = (server.address for server in servers)
        terminals = {}
        for name, addresses in (("alice", f"{a},{c}"), ("bob", f"{b},{c}")):
            files = ["--config", str(folder / f"config-{name}"), "--log-file", str(folder / f"{name}.log")]
            who = ["--name", name, "--color", COLORS[name]]
            terminals[name] = stack.enter_context(RecordedTerminal([addresses, *who, *files], folder))
        recorder = Recorder(servers[1], terminals)
        play(recorder)
        return recorder.recording()


def main() -> None:
    """Record and write the picture."""
    recording = record()
    PICTURE.write_text(draw(recording, TITLE), encoding="utf-8")
    print(f"{PICTURE}: {recording.length:.1f} s; the server is killed at {recording.killed_at:.1f} s")


if __name__ == "__main__":
    main()
