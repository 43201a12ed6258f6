"""Record media/demo.svg: alice and bob in the chat, on two terminals side by side.

Run it as `python3 media/record_demo.py`; it needs what `pip install -e '.[dev]'` installs, and takes as long as the
recording. The server and both clients are the real ones, and so are the times.
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

from testing.terminal import FOCUS_IN, FOCUS_OUT, RIGHT, TAB

PICTURE = Path(__file__).resolve().parent / "demo.svg"


def play(recorder: Recorder) -> None:
    """Play the scenes."""
    alice, bob = recorder.terminals["alice"], recorder.terminals["bob"]
    start(recorder, alice, bob)
    sign_in(recorder, alice, bob)
    greet(recorder, alice, bob)
    join_another_room(recorder, alice, bob)
    type_while_messages_arrive(recorder, alice, bob)
    survive_server_crash(recorder, alice, bob)
    recorder.pause(FINAL_PAUSE)


def start(recorder: Recorder, *terminals: RecordedTerminal) -> None:
    """Start the clients."""
    recorder.pause(SHORT_PAUSE)
    recorder.type(*((terminal, COMMAND) for terminal in terminals))
    recorder.pause(SHORT_PAUSE)
    for terminal in terminals:
        terminal.start()
    recorder.await_text("Choose a name:", *terminals)
    recorder.pause(SHORT_PAUSE)


def sign_in(recorder: Recorder, alice: RecordedTerminal, bob: RecordedTerminal) -> None:
    """Answer the prompts of the clients."""
    recorder.type((alice, "alice"), (bob, "bob"))
    recorder.enter(alice, bob)
    recorder.await_text("Colour", alice, bob)
    recorder.pause(READING_PAUSE)
    recorder.type((alice, "10"), (bob, "orange"))
    recorder.enter(bob)
    recorder.await_text("lobby>", bob)
    recorder.enter(alice)
    recorder.await_text("lobby>", alice)
    recorder.pause(READING_PAUSE)


def greet(recorder: Recorder, alice: RecordedTerminal, bob: RecordedTerminal) -> None:
    """Send a message in the lobby, with a name that the client completes."""
    recorder.type((alice, "bo"))
    recorder.pause(READING_PAUSE)
    recorder.type((alice, [RIGHT, *"good to see you 🎉"]))
    recorder.enter(alice)
    recorder.await_text("🎉", bob)
    recorder.pause(READING_PAUSE)


def join_another_room(recorder: Recorder, alice: RecordedTerminal, bob: RecordedTerminal) -> None:
    """Join a new room, with the completion menu and the list of rooms."""
    recorder.type((bob, "/"))
    recorder.pause(READING_PAUSE)
    recorder.type((bob, "jo"))
    recorder.pause(SHORT_PAUSE)
    recorder.type((bob, [TAB, *"ops"]))
    recorder.enter(bob)
    recorder.await_text("ops>", bob)
    recorder.type_line(alice, "/list", READING_PAUSE)
    recorder.type((alice, "/join "))
    recorder.await_text("1 person", alice)
    recorder.pause(READING_PAUSE)
    recorder.type((alice, [TAB, TAB]))
    recorder.pause(SHORT_PAUSE)
    recorder.enter(alice)
    recorder.await_text("ops>", alice)
    recorder.pause(SHORT_PAUSE)


def type_while_messages_arrive(recorder: Recorder, alice: RecordedTerminal, bob: RecordedTerminal) -> None:
    """Receive a long message while typing: the input line stays whole."""
    recorder.type((bob, [*"al", RIGHT, *"the backup is "]))
    recorder.type((alice, "moving the database over rig"), (bob, "done ✅ all 40 GB, so take your time"))
    recorder.enter(bob)
    recorder.await_text("40 GB", alice)
    recorder.pause(READING_PAUSE)
    recorder.choose_poster()
    recorder.pause(SHORT_PAUSE)
    recorder.type_line(alice, "ht now 🚀", READING_PAUSE)


def survive_server_crash(recorder: Recorder, alice: RecordedTerminal, bob: RecordedTerminal) -> None:
    """Kill the server while alice types, and start it again. Bob's terminal has no focus meanwhile."""
    bob.type(FOCUS_OUT)
    recorder.type((alice, "moved, all gre"))
    recorder.kill_server()
    recorder.type_line(alice, "en 🎉", SHORT_PAUSE)
    recorder.restart_server()
    recorder.await_text("· connected", alice, bob)
    recorder.await_text("new since", bob)
    recorder.pause(LONG_PAUSE)
    bob.type(FOCUS_IN)
    recorder.type_line(bob, "nice work 👏", 0.0)


def record() -> Recording:
    """Play on real terminals and return the recording."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server(folder))
        terminals = {}
        for name in ("alice", "bob"):
            files = ["--config", str(folder / name), "--log-file", str(folder / f"{name}.log")]
            terminals[name] = stack.enter_context(RecordedTerminal([server.address, *files], folder))
        recorder = Recorder(server, terminals)
        play(recorder)
        return recorder.recording()


def main() -> None:
    """Record and write the picture."""
    recording = record()
    PICTURE.write_text(draw(recording), encoding="utf-8")
    print(f"{PICTURE}: {recording.length:.1f} s; the server is killed at {recording.killed_at:.1f} s")


if __name__ == "__main__":
    main()
