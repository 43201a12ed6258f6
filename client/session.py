"""One stay in the chat: getting in, what is typed, what arrives, getting in again, and leaving."""

import dataclasses
import math
import queue
import socket
import threading
import time
from collections.abc import Callable

from loguru import logger

from client.connection import Connection, UselessError
from client.console import Console, NotTakenError, StoppedError
from client.door import NAME_REFUSALS, Door
from client.outbox import FullError, Outbox
from client.place import Place
from client.questions import Questions, SignInError
from client.render import View, render
from client.status import CONNECTED, NAMELESS, UNSENT_ROWS, Status, reconnecting_in
from protocol import (
    COMMANDS,
    LINE_BYTES,
    VERSION,
    Ack,
    Color,
    Command,
    Entered,
    Error,
    Event,
    Exit,
    Hello,
    Help,
    History,
    Join,
    Leave,
    LineTooLongError,
    Me,
    Name,
    Notice,
    Pong,
    Post,
    ProtocolError,
    Refused,
    Renamed,
    Resume,
    Say,
    Welcome,
    check_text,
    clean,
    find_command,
    parse_command,
    same_key,
)

ANSWER_SECONDS = 10.0  # without a word from the server while we get in; it answers in milliseconds
UNSENT_SECONDS = 1.0  # until a line that is not acknowledged is shown as unsent; before that it would only flicker
LEAVE_SECONDS = 2.0  # for acknowledgements that are on their way when the person leaves

HINT = "--- you are {}; /help shows the commands, /exit leaves"
OFFLINE = "not connected; try again when the status line says connected"
FULL = "not taken: {} waiting to be sent, and no more can; the line stays below, try again later"
LEAVING = "{} not sent; leave once more to drop what is not sent"
UNKNOWN = "the connection was lost, and nobody knows whether this was carried out: {}"
NO_WAY = "not said, for you are not in its room: {}"
REFUSED = "{}; not said: {}"

_WAIT_OFFLINE = (Say, Me, Join, Leave, Name, Color)  # the others are questions of the moment
_FOR_PROGRAMS = (Post, Resume)  # this one counts, and comes back, by itself


class NotSentError(Exception):
    """The server got on with nothing of what is to be sent, for too long; the text says more."""


def lines_are(count: int) -> str:
    """Return `1 line is` or `3 lines are`."""
    return "1 line is" if count == 1 else f"{count} lines are"


class Session:
    """Stands between the console and the connection. The main thread calls what is public."""

    def __init__(
        self, sock: socket.socket, address: tuple[str, int], console: Console, *, colored: bool, timeout: float
    ) -> None:
        """Use `sock`, connected to `address`. A pipe waits for `timeout` seconds while the server does not get on."""
        self._console = console
        self._timeout = timeout
        self._connection = Connection(sock, address, self._on_event, self._on_lost, self._on_end)
        self._replies: queue.SimpleQueue[Hello | Entered | Error | None] = queue.SimpleQueue()
        # Guards everything below. Whoever holds it may send, which never waits, but not show.
        self._changed = threading.Condition()
        self._view = View(me="", colored=colored)
        self._outbox = Outbox()
        self._door = Door()
        self._place = Place()
        self._inside = False
        self._back = False  # in again after a loss, but not yet in a room
        self._retry_at = 0.0  # monotonic seconds
        self._heard_at: float | None = time.monotonic()  # monotonic seconds; None while an event is being shown
        self._moved_at = 0.0  # monotonic seconds: when the server last got on, or could for our sake
        self._warned = False  # that leaving drops what is not sent
        self._reason = ""

    def start(self) -> None:
        """Start the connection. Called once."""
        self._connection.start()

    @property
    def reason(self) -> str:
        """Why the stay ended without our leaving; empty while it did not."""
        with self._changed:
            return self._reason

    @property
    def unsent(self) -> list[str]:
        """The lines that are not known to be carried out, in order."""
        with self._changed:
            return [line for line, _ in self._outbox.typed()]

    def status(self) -> Status:
        """Return what the person should know now. Any thread may call it."""
        now = time.monotonic()
        with self._changed:
            before = now - UNSENT_SECONDS if self._inside else math.inf
            lines = [line for line, typed_at in self._outbox.typed() if typed_at <= before]
            people = self._place.people if self._inside else None
            return Status(self._outbox.room, people, self._link(now), tuple(lines[:UNSENT_ROWS]), len(lines))

    def sign_in(self, name: str | None, chosen: str | None) -> None:
        """Get in with this name and colour, asking for what is None and again for a name that is refused.

        Raises SignInError, StoppedError when the server goes, and EOFError when the person does.
        """
        questions = Questions(self._console, colored=self._eyes().colored)
        self._greet()
        name = questions.valid_name(name)
        if chosen is None:
            chosen = questions.color()
        while (refusal := self._request(name, chosen)) is not None:
            if refusal.code not in NAME_REFUSALS:
                raise SignInError(clean(refusal.text))
            name = questions.other_name(refusal)
        logger.info("signed in as {!r}", name)

    def join(self, room: str) -> None:
        """Go to `room`; what is said next is said there."""
        self._put(Join(room))

    def take_line(self, line: str) -> bool:
        """Carry out what was typed, or show why not; False means that the person leaves.

        Waits only for LEAVE_SECONDS, when leaving. Raises NotTakenError while too much waits already.
        """
        command = self._understand(line)
        if isinstance(command, Exit):
            return not self._leaves()
        with self._changed:
            self._warned = False
            offline = not self._inside
        if offline and command is not None and not isinstance(command, _WAIT_OFFLINE):
            self._answer_offline(command)
        elif command is not None:
            self._put_or_tell(command)
        return True

    def take_line_in_turn(self, line: str) -> bool:
        """Carry out a line from a pipe, which may have more of them than can wait: return when the next one can.

        False means that the line says to leave. Raises NotSentError, and StoppedError.
        """
        command = self._understand(line)
        if command is not None and not isinstance(command, Exit):
            self._put(command)
            self._wait_for(lambda: not self._outbox.full, "the rest of the input was not read")
        return not isinstance(command, Exit)

    def wait_until_delivered(self) -> None:
        """Return when the server has carried out every line, and what it answered is shown.

        Raises NotSentError, and StoppedError.
        """
        with self._changed:
            self._outbox.add_end()
            self._send_ready()
        self._wait_for(lambda: self._outbox.empty, "everything was read")

    def close(self) -> None:
        """Leave, and end the connection. Called once."""
        self._console.stop()  # the socket thread may be waiting for it
        self._connection.close(last=Exit())

    # ---------------------------------------------------------------------------------------------------- getting in

    def _greet(self) -> None:
        """Wait for the server's greeting."""
        hello = self._reply()
        if isinstance(hello, Error):
            raise SignInError(clean(hello.text))
        if not isinstance(hello, Hello):
            raise SignInError("what answers there is not a chat server")
        if hello.version != VERSION:
            raise SignInError(_other_version(hello))

    def _request(self, name: str, chosen: str) -> Error | None:
        """Ask to be let in; return the refusal, or None once we are in a room."""
        self._connection.send(Name(name, chosen))
        reply = self._reply()
        while not isinstance(reply, Entered | Error):
            reply = self._reply()
        return reply if isinstance(reply, Error) else None

    def _reply(self) -> Hello | Entered | Error:
        """Return what the server owes us. Raises StoppedError when it goes, or is silent for ANSWER_SECONDS."""
        while True:
            try:
                reply = self._replies.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                if self._silence() >= ANSWER_SECONDS:
                    self._on_end(f"the server did not answer within {ANSWER_SECONDS:.0f} seconds")
                continue
            if reply is None:
                raise StoppedError
            return reply

    def _silence(self) -> float:
        """Return for how many seconds nothing came. While a slow reader of ours takes an event, nothing can."""
        with self._changed:
            return time.monotonic() - self._heard_at if self._heard_at is not None else 0.0

    # ------------------------------------------------------------------------------------------------- what is typed

    def _understand(self, line: str) -> Command | None:
        """Return what a line means; None for a blank one, and for one that means nothing, after saying why."""
        text = clean(line)
        if not text.strip():
            return None
        try:
            return _checked(parse_command(text))
        except ProtocolError as error:
            self._refuse(error.text)
            return None

    def _put_or_tell(self, command: Command) -> None:
        try:
            self._put(command)
        except FullError as error:
            self._refuse(FULL.format(lines_are(len(self.unsent))))
            raise NotTakenError from error

    def _put(self, command: Command) -> None:
        """Send `command` when its turn comes. Raises FullError."""
        with self._changed:
            if isinstance(command, Name) and self._door.nameless:
                self._door.choose(command)
                self._connection.send(self._knock())
            else:
                self._outbox.add(command, time.monotonic())
                self._send_ready()
        self._console.refresh()

    def _answer_offline(self, command: Command) -> None:
        """Answer what needs no server, or say that there is none."""
        if not isinstance(command, Help):
            self._refuse(OFFLINE)
            return
        try:
            rows = [find_command(command.command)] if command.command else list(COMMANDS.values())
        except ProtocolError as error:
            self._refuse(error.text)
            return
        for row in rows:
            self._show(Notice(f"{row.usage}: {row.help}"))

    def _leaves(self) -> bool:
        """Say whether nothing keeps the person, who is told once of what is not sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._outbox.empty or not self._inside, LEAVE_SECONDS)
            count, warned, self._warned = len(self._outbox), self._warned, True
        if count and not warned:
            self._refuse(LEAVING.format(lines_are(count)))
        return warned or not count

    def _wait_for(self, done: Callable[[], bool], reading: str) -> None:
        """Wait until `done`, which is asked under the lock; `reading` tells how far the input was read.

        Raises StoppedError and NotSentError.
        """
        with self._changed:
            self._moved_at = time.monotonic()
            while not done():
                left = self._moved_at + self._timeout - time.monotonic()
                if self._reason:
                    raise StoppedError
                if left <= 0 and self._heard_at is not None:
                    raise NotSentError(f"the server took nothing for {self._timeout:g} s; {reading}")
                self._changed.wait(left if left > 0 else None)  # until the event is shown

    # ---------------------------------------------------------------------------------------------- the socket thread

    def _on_event(self, event: Event) -> None:
        started = time.monotonic()
        with self._changed:
            self._heard_at = None
            inside, known = self._inside, bool(self._view.me)
        try:
            if inside:
                self._carry_out(event)
            elif known:
                self._get_in_again(event)
            else:
                self._get_in(event)
        finally:
            with self._changed:
                self._heard_at = time.monotonic()
                self._moved_at += self._heard_at - started  # which we took, and not the server
                self._changed.notify_all()

    def _get_in(self, event: Event) -> None:
        match event:
            case Hello() | Error():
                self._replies.put(event)
            case Welcome():
                self._welcome(event)
                if self._console.asks:
                    self._show_line(self._eyes().style("notice", HINT.format(event.name)))
            case _:
                self._show(event)

    def _get_in_again(self, event: Event) -> None:
        match event:
            case Hello():
                if event.version != VERSION:
                    raise UselessError(_other_version(event))
                with self._changed:
                    self._connection.send(self._knock())
            case Error():
                self._find_way(event)
            case Welcome():
                with self._changed:
                    self._back = True
                self._welcome(event)
                logger.info("signed in again as {!r}", event.name)

    def _find_way(self, refusal: Error) -> None:
        """Knock in another way, or leave that to the person. Raises UselessError where it is a question of time."""
        with self._changed:
            news = self._door.refuse(refusal)
            nameless = self._door.nameless
            if not nameless:
                self._connection.send(self._knock())
        if news and self._console.asks:
            self._refuse(f"{refusal.text}; {NAMELESS}")
        elif news:
            self._on_end(clean(refusal.text))
        self._console.refresh()

    def _welcome(self, event: Welcome) -> None:
        self._connection.settled()
        with self._changed:
            if self._door.resumed:
                self._outbox.resumed(event.accepted)
            else:
                self._outbox.renewed()
            self._door.welcome(event)
            self._view = dataclasses.replace(self._view, me=event.name)
            self._inside = True
        self._console.refresh()

    def _carry_out(self, event: Event) -> None:
        match event:
            case Pong():
                self._answered(event)
            case Ack():
                with self._changed:
                    self._outbox.ack(event.number)
                    self._get_on()
            case Refused():
                self._refused(event)
            case Entered():
                self._entered(event)
            case _:
                with self._changed:
                    shown = self._place.shows(event, old=isinstance(self._outbox.asked, History))
                if shown:
                    self._show(event)
                    self._follow(event)

    def _answered(self, event: Pong) -> None:
        with self._changed:
            lines = self._outbox.answered(event.token)
            self._send_ready()
            self._get_on()
        for line in lines:
            self._refuse(NO_WAY.format(line))

    def _refused(self, event: Refused) -> None:
        with self._changed:
            line = self._outbox.refuse(event.number)
            self._get_on()
        if line:
            self._refuse(REFUSED.format(event.text, line))

    def _entered(self, event: Entered) -> None:
        with self._changed:
            back, self._back = self._back, False
            first = not self._place.room
            asked = isinstance(self._outbox.asked, Join | Leave)
            self._place.enter(event, resumed=back and self._door.resumed)
            self._outbox.entered(event.room)
            passing = back and same_key(self._outbox.next_room) != same_key(event.room)
            heading = self._place.begin(passing=passing) or asked
            self._send_ready()
            self._get_on()
        if heading:
            self._show(event)
        if first:
            self._replies.put(event)
        self._console.refresh()

    def _follow(self, event: Event) -> None:
        """Keep in mind who we are."""
        with self._changed:
            if isinstance(event, Renamed) and event.old == self._view.me:
                self._door.rename(event.new, event.color)
                self._view = dataclasses.replace(self._view, me=event.new)

    def _on_lost(self, reason: str, seconds: float) -> None:
        with self._changed:
            known = bool(self._view.me)
            self._inside = False
            self._retry_at = time.monotonic() + seconds
            unknown = self._outbox.lost()
            self._changed.notify_all()
        if not known:
            self._on_end(reason)
        if unknown:
            self._refuse(UNKNOWN.format(unknown))
        self._console.refresh()

    def _on_end(self, reason: str) -> None:
        """End whatever the main thread does, and keep the first reason. Any thread may call it."""
        with self._changed:
            self._reason = self._reason or reason
            self._changed.notify_all()
        self._replies.put(None)
        self._console.stop()

    # ------------------------------------------------------------------------------------- any thread, under the lock

    def _link(self, now: float) -> str:
        if self._inside:
            return CONNECTED
        return NAMELESS if self._door.nameless else reconnecting_in(math.ceil(self._retry_at - now))

    def _knock(self) -> Resume | Name:
        return self._door.knock(self._place.room, self._place.seq)

    def _send_ready(self) -> None:
        for command in self._outbox.ready():
            self._connection.send(command)

    def _get_on(self) -> None:
        """Note that the server carried out something."""
        self._moved_at = time.monotonic()
        self._console.refresh()

    # ---------------------------------------------------------------------------------- any thread, without the lock

    def _eyes(self) -> View:
        with self._changed:
            return self._view

    def _refuse(self, text: str) -> None:
        self._show(Error("refused", text))

    def _show(self, event: Event) -> None:
        line = render(event, self._eyes())
        if line is not None:
            self._show_line(line, aside=isinstance(event, Error))

    def _show_line(self, line: str, *, aside: bool = False) -> None:
        try:
            self._console.show(line, aside=aside)
        except OSError as error:
            self._on_end(f"nothing more can be shown: {error.strerror}")


def _checked(command: Command) -> Command:
    """Return `command`. Raises ProtocolError if the server would refuse it, or if it is not for a person."""
    if isinstance(command, _FOR_PROGRAMS):
        raise ProtocolError("not-allowed", "that is for programs; type what you want to say")
    if isinstance(command, Say | Me):
        check_text(command.text)
    if len(command.encode()) > LINE_BYTES:
        raise LineTooLongError(LINE_BYTES, [])
    return command


def _other_version(hello: Hello) -> str:
    return f"the server speaks version {hello.version} of the protocol, and this client {VERSION}"
