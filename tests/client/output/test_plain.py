"""The user interface without an editor, on real pipes and terminals: input, output, prompts and ends."""

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, TextIO

import pytest

from hubbub.client.output.json_lines import to_json
from hubbub.client.output.plain import LINE_BYTES, PlainUi
from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.client.output.ui import StoppedError
from hubbub.client.state.notification import Notification
from hubbub.color import Depth, Palette
from hubbub.protocol import End, Error, LineTooLongError, MemberRow, Notice, OwnerRow, Said
from testing.waiting import ROOT

WAIT_SECONDS = 10.0  # for another thread or process, on a slow machine
NOON = 1_763_812_800_000  # 2025-11-22 12:00 UTC
PIPE_BYTES = 65_536  # the capacity of a pipe
UNCOLORED = Palette(None, None)
COLORED = Palette((0, 0, 0), Depth.TRUE_COLOR)

SLOW_READER = """
import sys, threading
from hubbub.client.state.notification import Notification
from hubbub.client.output.plain import PlainUi
from hubbub.color import Palette
from hubbub.protocol import Notice
ui = PlainUi(sys.stdin, sys.stdout, sys.stderr, Palette(None, None), Palette(None, None))
threading.Thread(target=ui.show, args=[Notification(Notice("x" * 1_000_000))], daemon=True).start()
ui.read_lines(lambda line: True)
ui.close()
"""


class Pipe:
    """A pipe with a file at each end."""

    def __init__(self, encoding: str = "utf-8") -> None:
        reading, writing = os.pipe()
        self.reading: TextIO = os.fdopen(reading, encoding="utf-8", newline="")
        self.writing: TextIO = os.fdopen(writing, "w", encoding=encoding)

    def write(self, data: bytes) -> None:
        """Write bytes; they must fit."""
        os.write(self.writing.fileno(), data)

    def fill(self, data: bytes) -> None:
        """Write bytes as the reader takes them."""
        while data:
            data = data[os.write(self.writing.fileno(), data) :]

    def written(self) -> str:
        """Return what was written since the last call; empty for nothing."""
        ready, _, _ = select.select([self.reading.fileno()], [], [], 0)
        return os.read(self.reading.fileno(), PIPE_BYTES).decode() if ready else ""

    def close(self) -> None:
        self.reading.close()
        self.writing.close()


class Streams:
    """A pipe for each stream of a user interface."""

    def __init__(self, stack: ExitStack, encoding: str = "utf-8") -> None:
        self._stack = stack
        self.source, self.output, self.errors = Pipe(), Pipe(encoding), Pipe(encoding)
        for pipe in (self.source, self.output, self.errors):
            stack.callback(pipe.close)

    def plain(self, palette: Palette = UNCOLORED, error_palette: Palette = UNCOLORED) -> PlainUi:
        """Return a user interface for users."""
        return self.ui(self.source.reading, palette, error_palette)

    def json(self) -> PlainUi:
        """Return a user interface for programs, without input."""
        return self.ui(None, UNCOLORED, UNCOLORED, to_json)

    def ui(self, source: TextIO | None, *arguments: Any) -> PlainUi:
        """Return a user interface that is closed after the test."""
        ui = PlainUi(source, self.output.writing, self.errors.writing, *arguments)
        self._stack.callback(ui.close)
        return ui


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Return a stack that is closed after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def streams(stack: ExitStack) -> Streams:
    """Return the three pipes of a user interface."""
    return Streams(stack)


def said(text: str) -> Notification:
    """Return a message from bob."""
    return Notification(Said("lobby", 1, NOON, "bob", "red", text), "alice")


def read_lines(ui: PlainUi) -> list[str]:
    """Read to the end of the input."""
    lines: list[str] = []

    def take(line: str) -> bool:
        lines.append(line)
        return True

    ui.read_lines(take)
    return lines


# --------------------------------------------------------------------------------------------------------------- input


def test_lines_come_in_order(streams: Streams) -> None:
    """Decoded and cleaned; the last one needs no end."""
    ui = streams.plain()
    streams.source.write("one\n\nžluť\r\n\x1b[31mred\xff\n".encode() + b"\xff\nlast")
    streams.source.writing.close()
    assert read_lines(ui) == ["one", "", "žluť", "[31mredÿ", "\ufffd", "last"]


def test_reading_ends_when_the_handler_returns_false(streams: Streams) -> None:
    """Later lines are not passed on."""
    ui = streams.plain()
    streams.source.write(b"one\n/exit\nthree\n")
    taken: list[str] = []

    def take(line: str) -> bool:
        taken.append(line)
        return line != "/exit"

    ui.read_lines(take)
    assert taken == ["one", "/exit"]


def test_line_that_never_ends(streams: Streams) -> None:
    """It is rejected before it fills the memory."""
    ui = streams.plain()
    writer = threading.Thread(target=streams.source.fill, args=[b"x" * (LINE_BYTES + 1)])
    writer.start()
    with pytest.raises(LineTooLongError):
        read_lines(ui)
    writer.join(WAIT_SECONDS)


def test_stop_ends_the_reading(streams: Streams) -> None:
    """Both a reader that waits for a line and later ones."""
    ui = streams.plain()
    taken = threading.Event()

    def stop() -> None:
        taken.wait(WAIT_SECONDS)
        ui.stop()

    def take(line: str) -> bool:
        taken.set()
        return True

    streams.source.write(b"one\n")
    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(StoppedError):
        ui.read_lines(take)
    stopper.join()
    streams.source.write(b"two\n")
    with pytest.raises(StoppedError):
        ui.ask("Choose a name: ")
    ui.close()
    ui.stop()  # has no effect


def test_stop_discards_lines_that_are_read_already(streams: Streams) -> None:
    """No line is passed on after it."""
    ui = streams.plain()
    streams.source.write(b"one\ntwo\n")

    def take(line: str) -> bool:
        assert line == "one"
        ui.stop()
        return True

    with pytest.raises(StoppedError):
        ui.read_lines(take)


def test_nothing_is_read_without_a_source(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading lasts until `stop`. It waits once, for that and for the loss of the reader."""
    waits: list[list[int]] = []
    waiting = threading.Event()
    poll = select.poll

    class Counted:
        def __init__(self) -> None:
            self._poll = poll()
            self._events: list[int] = []

        def register(self, file: Any, events: int) -> None:
            self._events.append(events)
            self._poll.register(file, events)

        def poll(self) -> list[tuple[int, int]]:
            waits.append(self._events)
            waiting.set()
            return self._poll.poll()

    ui = streams.json()
    monkeypatch.setattr(select, "poll", Counted)

    def stop() -> None:
        waiting.wait(WAIT_SECONDS)
        ui.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(StoppedError):
        read_lines(ui)
    stopper.join()
    assert waits == [[select.POLLIN, 0]]


# -------------------------------------------------------------------------------------------------------------- output


def test_events_are_written_at_once(streams: Streams) -> None:
    """Errors go to standard error, the others to standard output; an event that is not shown has no line."""
    ui = streams.plain()
    ui.show(said("hi"))
    assert streams.output.written().endswith(" bob: hi\n")
    ui.show(Notification(Error("too-fast", "slow down")))
    assert (streams.output.written(), streams.errors.written()) == ("", "!!! slow down\n")
    ui.show(Notification(End("who")))
    assert (streams.output.written(), streams.errors.written()) == ("", "")


def test_who_reply_marks_proven_names(streams: Streams) -> None:
    """The rows are written when the reply ends."""
    ui = streams.plain()
    ui.show(Notification(MemberRow("alice", "red", "lobby", 5)))
    ui.show(Notification(OwnerRow("alice")))
    assert streams.output.written() == ""
    ui.show(Notification(End("who")))
    assert streams.output.written() == "--- alice ✓ in lobby, idle 5 s\n"


def test_each_stream_has_its_colors(streams: Streams) -> None:
    """One may be a terminal and the other a file."""
    ui = streams.plain(COLORED, UNCOLORED)
    ui.show(said("hi"))
    ui.show(Notification(Error("too-fast", "slow down")))
    assert COLORED.paint("red", "bob") in streams.output.written()
    assert streams.errors.written() == "!!! slow down\n"


def test_mention_stands_out(streams: Streams) -> None:
    """Its text has the style of mentions."""
    ui = streams.plain(COLORED)
    ui.show(Notification(said("hi alice").event, "alice", mention=True))
    assert COLORED.paint("mention", "hi alice") in streams.output.written()


def test_no_code_without_color(streams: Streams) -> None:
    """For screen readers and files."""
    ui = streams.plain()
    ui.show(Notification(Notice("\x1b[2Jtext"), "alice"))
    ui.show(Notification(Said("lobby", 1, NOON, "bob", "red", "hi alice"), "alice", mention=True))
    ui.clear()
    ui.refresh()
    written = streams.output.written()
    assert "\x1b" not in written
    assert len(written.splitlines()) == 2


def test_json_for_programs(streams: Streams) -> None:
    """All objects go to standard output, errors too."""
    ui = streams.json()
    for news in (said("hi"), Notification(Error("too-fast", "slow down")), Notification(End("who"))):
        ui.show(news)
    assert [json.loads(line)["event"] for line in streams.output.written().splitlines()] == ["say", "error"]
    assert streams.errors.written() == ""


def test_locale_without_all_characters(stack: ExitStack) -> None:
    """A user sees question marks; programs get UTF-8."""
    streams = Streams(stack, "ascii")
    ui = streams.plain()
    ui.show(said("žluť"))
    assert streams.output.written().endswith(" bob: ?lu?\n")
    ui = streams.json()
    ui.show(said("žluť"))
    assert json.loads(streams.output.written())["text"] == "žluť"


def test_reader_is_gone(streams: Streams) -> None:
    """Each write raises an error, and closing raises none."""
    ui = streams.plain()
    streams.output.reading.close()
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            ui.show(said("hi"))
    ui.close()
    streams.output.writing.close()


@pytest.mark.parametrize("blocking", [True, False])
def test_reader_is_slow(streams: Streams, blocking: bool) -> None:
    """Lines of several threads arrive whole, also in a pipe that another process has made non-blocking."""
    ui = streams.plain()
    os.set_blocking(streams.output.writing.fileno(), blocking)
    texts = [letter * (2 * PIPE_BYTES) for letter in "abc"]
    writers = [threading.Thread(target=ui.show, args=[Notification(Notice(text))]) for text in texts]
    for writer in writers:
        writer.start()
    lines = [streams.output.reading.readline() for _ in texts]
    for writer in writers:
        writer.join(WAIT_SECONDS)
    assert sorted(lines) == [f"--- {text}\n" for text in texts]


def test_exit_does_not_wait_for_a_slow_reader() -> None:
    """The program ends without an error message."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_READER], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(PIPE_BYTES // 2)  # the program writes, and the rest does not fit into the pipe
        process.stdin.close()
        assert process.wait(WAIT_SECONDS) == 0
        assert process.stderr.read() == b""


# ------------------------------------------------------------------------------------------------------------- prompts


def test_prompt(streams: Streams) -> None:
    """It is written to standard error, like the lines that belong to it."""
    ui = streams.plain(COLORED, COLORED)
    streams.source.write(b"alice\n")
    ui.show_line(StyledLine((Span("!!! ", "error"),), (Span("taken"),)))
    assert ui.ask("Choose a name: ") == "alice"
    assert streams.errors.written() == f"{COLORED.paint('error', '!!! ')}taken\nChoose a name: "
    assert streams.output.written() == ""


def test_prompt_without_an_answer(streams: Streams) -> None:
    """At the end of the input, and without input, EOFError is raised."""
    ui = streams.plain()
    streams.source.writing.close()
    with pytest.raises(EOFError):
        ui.ask("Choose a name: ")
    ui = streams.json()
    with pytest.raises(EOFError):
        ui.ask("Choose a name: ")


def test_only_a_terminal_is_interactive(streams: Streams) -> None:
    """A pipe is not, and no input is not either."""
    assert not streams.plain().is_interactive
    assert not streams.json().is_interactive
    ours, theirs = os.openpty()
    with os.fdopen(ours, "wb"), os.fdopen(theirs, encoding="utf-8") as terminal:
        ui = streams.ui(terminal, UNCOLORED, UNCOLORED)
        assert ui.is_interactive
        os.write(ours, b"hi\n")
        taken: list[str] = []

        def take(line: str) -> bool:
            taken.append(line)
            return False

        ui.read_lines(take)
        assert taken == ["hi"]
        assert (streams.output.written(), streams.errors.written()) == ("", "")  # there is no prompt
