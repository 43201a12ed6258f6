"""Records media/cluster.svg: alice and bob on different servers of one chat, of which one is killed.

Run it as `python3 media/record_cluster.py`; it needs redis-server and what `pip install -e '.[dev]'` brings. It is
played and drawn as media/record_demo.py does: Redis, the servers and both clients are the real ones, the times too.
The shells call the servers a, b and c; here they take whatever ports are free.
"""

import contextlib
import tempfile
from pathlib import Path

from record_demo import COMMAND, END, GLANCE, HERE, READ, STUDY, Recording, Server, Stage, Window, draw

from testing.redis_server import RedisServer

PICTURE = HERE / "cluster.svg"
TITLE = "Two people on two servers of one chat; one of the servers is killed, and nobody has to do anything"
COLORS = {"alice": "teal", "bob": "orange"}


def play(stage: Stage) -> None:
    """Play the story."""
    alice, bob = stage.windows["alice"], stage.windows["bob"]
    stage.pause(GLANCE)
    stage.type((alice, f"{COMMAND} a,c"), (bob, f"{COMMAND} b,c"))
    for window in (alice, bob):
        window.start()
        stage.await_text("lobby>", window)
    stage.pause(READ)
    stage.say(alice, "hi bob, which server are you on? I'm on a", READ)
    stage.await_text("on a", bob)
    stage.say(bob, "on b. nobody can tell 😎", READ)
    stage.await_text("nobody can tell", alice)
    stage.type((alice, "let's pull its pl"))
    stage.server.kill()
    stage.await_text("reconnecting", bob)
    stage.say(alice, "ug 😈", GLANCE)
    stage.type((bob, "I'm on c by "))
    stage.await_text("· connected", bob)
    stage.await_text("😈", bob)
    stage.stand_still()
    stage.say(bob, "now, and missed nothing", READ)
    stage.await_text("missed nothing", alice)
    stage.say(alice, "/who", STUDY)
    stage.pause(END)


def record() -> Recording:
    """Play the story on real terminals, and return what could be seen."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(RedisServer(folder))
        servers = []
        for name in "abc":
            (folder / name).mkdir()
            servers.append(stack.enter_context(Server(folder / name, "--cluster", redis.url)))
        a, b, c = (server.address for server in servers)
        windows = {}
        for name, addresses in (("alice", f"{a},{c}"), ("bob", f"{b},{c}")):
            files = ["--config", str(folder / f"of {name}"), "--log-file", str(folder / f"{name}.log")]
            who = ["--name", name, "--color", COLORS[name]]
            windows[name] = stack.enter_context(Window([addresses, *who, *files], folder))
        stage = Stage(servers[1], windows)
        play(stage)
        return Recording({name: window.shots for name, window in windows.items()}, stage.now, stage.still)


def main() -> None:
    """Record the story and write the picture."""
    PICTURE.write_text(draw(record(), TITLE), encoding="utf-8")
    print(PICTURE)


if __name__ == "__main__":
    main()
