"""The console without an editor, on real pipes and terminals: what goes in, what comes out, and how both end."""

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

WAIT_SECONDS = 10.0  # for anything that another thread owes: a slow machine included
NOON = 1_763_812_800_000  # 2025-11-22 12:00 UTC
PIPE_BYTES = 65_536  # more than that waits for a reader
UNCOLORED = Palette(None, None)
COLORED = Palette((0, 0, 0), Depth.TRUE_COLOR)

IDLE = """
import sys, threading
from hubbub.client.state.notification import Notification
from hubbub.client.output.plain import PlainUi
from hubbub.color import Palette
from hubbub.protocol import Notice
console = PlainUi(sys.stdin, sys.stdout, sys.stderr, Palette(None, None), Palette(None, None))
threading.Thread(target=console.show, args=[Notification(Notice("x" * 1_000_000))], daemon=True).start()
console.read_lines(lambda line: True)
console.close()
"""


class Pipe:
    """A pipe with a file at each end."""

    def __init__(self, encoding: str = "utf-8") -> None:
        reading, writing = os.pipe()
        self.reading: TextIO = os.fdopen(reading, encoding="utf-8", newline="")
        self.writing: TextIO = os.fdopen(writing, "w", encoding=encoding)

    def write(self, data: bytes) -> None:
        """Put bytes in; they must fit."""
        os.write(self.writing.fileno(), data)

    def fill(self, data: bytes) -> None:
        """Put bytes in as they are taken out."""
        while data:
            data = data[os.write(self.writing.fileno(), data) :]

    def written(self) -> str:
        """Return what was put in since; empty for nothing."""
        ready, _, _ = select.select([self.reading.fileno()], [], [], 0)
        return os.read(self.reading.fileno(), PIPE_BYTES).decode() if ready else ""

    def close(self) -> None:
        self.reading.close()
        self.writing.close()


class Bench:
    """Consoles with a pipe for each stream."""

    def __init__(self, stack: ExitStack, encoding: str = "utf-8") -> None:
        self._stack = stack
        self.source, self.output, self.asides = Pipe(), Pipe(encoding), Pipe(encoding)
        for pipe in (self.source, self.output, self.asides):
            stack.callback(pipe.close)

    def plain(self, palette: Palette = UNCOLORED, aside_palette: Palette = UNCOLORED) -> PlainUi:
        """Return a console for people."""
        return self.console(self.source.reading, palette, aside_palette)

    def json(self) -> PlainUi:
        """Return a console for programs, that reads nothing."""
        return self.console(None, UNCOLORED, UNCOLORED, to_json)

    def console(self, source: TextIO | None, *arguments: Any) -> PlainUi:
        """Return a console that is closed after the test."""
        console = PlainUi(source, self.output.writing, self.asides.writing, *arguments)
        self._stack.callback(console.close)
        return console


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Return what is closed after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def bench(stack: ExitStack) -> Bench:
    """Return a console's three pipes."""
    return Bench(stack)


def said(text: str) -> Notification:
    """Return a message of bob's."""
    return Notification(Said("lobby", 1, NOON, "bob", "red", text), "alice")


def read_lines(console: PlainUi) -> list[str]:
    """Read to the end of the input."""
    lines: list[str] = []

    def take(line: str) -> bool:
        lines.append(line)
        return True

    console.read_lines(take)
    return lines


# ------------------------------------------------------------------------------------------------------------------ in


def test_lines_come_in_order(bench: Bench) -> None:
    """Decoded and cleaned; the last one needs no end."""
    console = bench.plain()
    bench.source.write("one\n\nžluť\r\n\x1b[31mred\xff\n".encode() + b"\xff\nlast")
    bench.source.writing.close()
    assert read_lines(console) == ["one", "", "žluť", "[31mredÿ", "\ufffd", "last"]


def test_taker_has_enough(bench: Bench) -> None:
    """What follows the line that leaves is not taken."""
    console = bench.plain()
    bench.source.write(b"one\n/exit\nthree\n")
    taken: list[str] = []

    def take(line: str) -> bool:
        taken.append(line)
        return line != "/exit"

    console.read_lines(take)
    assert taken == ["one", "/exit"]


def test_line_that_never_ends(bench: Bench) -> None:
    """It is refused before it fills the memory."""
    console = bench.plain()
    writer = threading.Thread(target=bench.source.fill, args=[b"x" * (LINE_BYTES + 1)])
    writer.start()
    with pytest.raises(LineTooLongError):
        read_lines(console)
    writer.join(WAIT_SECONDS)


def test_stop_ends_the_reading(bench: Bench) -> None:
    """Of who waits for a line already, and of who would."""
    console = bench.plain()
    taken = threading.Event()

    def stop() -> None:
        taken.wait(WAIT_SECONDS)
        console.stop()

    def take(line: str) -> bool:
        taken.set()
        return True

    bench.source.write(b"one\n")
    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(StoppedError):
        console.read_lines(take)
    stopper.join()
    bench.source.write(b"two\n")
    with pytest.raises(StoppedError):
        console.ask("Username: ")
    console.close()
    console.stop()  # too late, and no harm


def test_stop_ends_lines_that_are_here_already(bench: Bench) -> None:
    """Nothing is taken after it."""
    console = bench.plain()
    bench.source.write(b"one\ntwo\n")

    def take(line: str) -> bool:
        assert line == "one"
        console.stop()
        return True

    with pytest.raises(StoppedError):
        console.read_lines(take)


def test_nothing_is_read_without_a_source(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading lasts until it is stopped, and waits once, for that and for the end of the reader."""
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

    console = bench.json()
    monkeypatch.setattr(select, "poll", Counted)

    def stop() -> None:
        waiting.wait(WAIT_SECONDS)
        console.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(StoppedError):
        read_lines(console)
    stopper.join()
    assert waits == [[select.POLLIN, 0]]


# ----------------------------------------------------------------------------------------------------------------- out


def test_news_are_written_at_once(bench: Bench) -> None:
    """One line for each; errors go aside, and what nobody is shown goes nowhere."""
    console = bench.plain()
    console.show(said("hi"))
    assert bench.output.written().endswith(" bob: hi\n")
    console.show(Notification(Error("too-fast", "slow down")))
    assert (bench.output.written(), bench.asides.written()) == ("", "!!! slow down\n")
    console.show(Notification(End("who")))
    assert (bench.output.written(), bench.asides.written()) == ("", "")


def test_who_reply_marks_proven_names(bench: Bench) -> None:
    """The rows are written when the reply ends."""
    console = bench.plain()
    console.show(Notification(MemberRow("alice", "red", "lobby", 5)))
    console.show(Notification(OwnerRow("alice")))
    assert bench.output.written() == ""
    console.show(Notification(End("who")))
    assert bench.output.written() == "--- alice ✓ in lobby, idle 5 s\n"


def test_each_stream_has_its_colors(bench: Bench) -> None:
    """A terminal may show the one while the other goes to a file."""
    console = bench.plain(COLORED, UNCOLORED)
    console.show(said("hi"))
    console.show(Notification(Error("too-fast", "slow down")))
    assert COLORED.paint("red", "bob") in bench.output.written()
    assert bench.asides.written() == "!!! slow down\n"


def test_mention_stands_out(bench: Bench) -> None:
    """It looks different from what is said to everybody."""
    console = bench.plain(COLORED)
    console.show(Notification(said("hi alice").event, "alice", mention=True))
    assert COLORED.paint("mention", "hi alice") in bench.output.written()


def test_no_code_without_color(bench: Bench) -> None:
    """Not a single one, for screen readers and files."""
    console = bench.plain()
    console.show(Notification(Notice("\x1b[2Jtext"), "alice"))
    console.show(Notification(Said("lobby", 1, NOON, "bob", "red", "hi alice"), "alice", mention=True))
    console.clear()
    console.refresh()
    written = bench.output.written()
    assert "\x1b" not in written
    assert len(written.splitlines()) == 2


def test_objects_for_programs(bench: Bench) -> None:
    """Everything goes out, errors too; nothing goes aside."""
    console = bench.json()
    for news in (said("hi"), Notification(Error("too-fast", "slow down")), Notification(End("who"))):
        console.show(news)
    assert [json.loads(line)["event"] for line in bench.output.written().splitlines()] == ["say", "error"]
    assert bench.asides.written() == ""


def test_language_of_the_system_is_poor(stack: ExitStack) -> None:
    """People see a question mark for what it cannot say; programs get what was said."""
    bench = Bench(stack, "ascii")
    console = bench.plain()
    console.show(said("žluť"))
    assert bench.output.written().endswith(" bob: ?lu?\n")
    console = bench.json()
    console.show(said("žluť"))
    assert json.loads(bench.output.written())["text"] == "žluť"


def test_reader_is_gone(bench: Bench) -> None:
    """That is told, each time, and nothing of it is left to complain of at the end."""
    console = bench.plain()
    bench.output.reading.close()
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            console.show(said("hi"))
    console.close()
    bench.output.writing.close()


@pytest.mark.parametrize("blocking", [True, False])
def test_reader_is_slow(bench: Bench, blocking: bool) -> None:
    """Lines of several threads reach him whole, also where somebody else has made the pipe non-blocking."""
    console = bench.plain()
    os.set_blocking(bench.output.writing.fileno(), blocking)
    texts = [letter * (2 * PIPE_BYTES) for letter in "abc"]
    writers = [threading.Thread(target=console.show, args=[Notification(Notice(text))]) for text in texts]
    for writer in writers:
        writer.start()
    lines = [bench.output.reading.readline() for _ in texts]
    for writer in writers:
        writer.join(WAIT_SECONDS)
    assert sorted(lines) == [f"--- {text}\n" for text in texts]


def test_end_waits_for_no_reader() -> None:
    """A program whose reader has stopped reading ends nevertheless, and quietly."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", IDLE], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(PIPE_BYTES // 2)  # it has begun to write, and the pipe cannot hold the rest
        process.stdin.close()
        assert process.wait(WAIT_SECONDS) == 0
        assert process.stderr.read() == b""


# ------------------------------------------------------------------------------------------------------------ questions


def test_question(bench: Bench) -> None:
    """It stands aside, before the answer, and so does what belongs to it."""
    console = bench.plain(COLORED, COLORED)
    bench.source.write(b"alice\n")
    console.show_line(StyledLine((Span("!!! ", "error"),), (Span("taken"),)))
    assert console.ask("Username: ") == "alice"
    assert bench.asides.written() == f"{COLORED.paint('error', '!!! ')}taken\nUsername: "
    assert bench.output.written() == ""


def test_nobody_answers(bench: Bench) -> None:
    """The end of the input is no answer, and nor is an input that is not read."""
    console = bench.plain()
    bench.source.writing.close()
    with pytest.raises(EOFError):
        console.ask("Username: ")
    console = bench.json()
    with pytest.raises(EOFError):
        console.ask("Username: ")


def test_who_can_be_asked(bench: Bench) -> None:
    """A person at a terminal: not a pipe, and not what is not read."""
    assert not bench.plain().is_interactive
    assert not bench.json().is_interactive
    ours, theirs = os.openpty()
    with os.fdopen(ours, "wb"), os.fdopen(theirs, encoding="utf-8") as terminal:
        console = bench.console(terminal, UNCOLORED, UNCOLORED)
        assert console.is_interactive
        os.write(ours, b"hi\n")
        taken: list[str] = []

        def take(line: str) -> bool:
            taken.append(line)
            return False

        console.read_lines(take)
        assert taken == ["hi"]
        assert (bench.output.written(), bench.asides.written()) == ("", "")  # there is no prompt
