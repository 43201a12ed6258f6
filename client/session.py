"""One stay in the chat: getting in, what is typed, what arrives, and leaving."""

import dataclasses
import queue
import secrets
import socket
import threading
import time

from loguru import logger

import color
from client.connection import Connection
from client.console import Console, StoppedError
from client.render import View, render
from protocol import (
    COLORS,
    LINE_BYTES,
    VERSION,
    Entered,
    Error,
    Event,
    Exit,
    Hello,
    LineTooLongError,
    Name,
    Ping,
    Pong,
    ProtocolError,
    Renamed,
    Welcome,
    check_color,
    check_name,
    clean,
    parse_command,
)

ANSWER_SECONDS = 10.0  # without a word from the server when it owes us an answer; it answers in milliseconds
NAME_REFUSALS = frozenset({"name-taken", "name-invalid"})  # another name may do; no other refusal has a remedy here

NAME_QUESTION = "Username: "
COLOR_QUESTION = "Colour (name or number; Enter lets the server choose): "
HINT = "--- you are {}; /help shows the commands, /exit leaves"


class SignInError(Exception):
    """There is no getting in; the text says why."""


def choose_color(text: str) -> str:
    """Return the colour that a person means by its name or its number in the chart. Raises ProtocolError."""
    number = text.strip()
    if number.isascii() and number.isdigit() and number.lstrip("0") and int(number) <= len(COLORS):
        return COLORS[int(number) - 1]
    return check_color(text)


class Session:
    """Stands between the console and the connection. The main thread calls what is public."""

    def __init__(self, sock: socket.socket, console: Console, *, colored: bool) -> None:
        self._console = console
        self.connection = Connection(sock, self._on_event, self._on_end)
        self._replies: queue.SimpleQueue[Hello | Welcome | Error | Pong | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards everything below
        self._view = View(me="", colored=colored)
        self._heard_at: float | None = time.monotonic()  # monotonic seconds; None while an event is being shown
        self._reason = ""

    @property
    def reason(self) -> str:
        """Why the stay ended without our leaving; empty while it did not."""
        with self._lock:
            return self._reason

    def sign_in(self, name: str | None, chosen: str | None) -> None:
        """Get in with this name and colour, asking for what is None and again for a name that is refused.

        Raises SignInError, StoppedError when the server goes, and EOFError when the person does.
        """
        self._greet()
        name = self._valid_name(name)
        if chosen is None:
            chosen = self._ask_color()
        while (refusal := self._request(name, chosen)) is not None:
            if refusal.code not in NAME_REFUSALS:
                raise SignInError(clean(refusal.text))
            name = self._ask_name(refusal)
        logger.info("signed in as {!r}", name)

    def take_line(self, line: str) -> bool:
        """Carry out what was typed, or show why not; False means that the person wants to leave. Never waits."""
        text = clean(line)
        if not text.strip():
            return True
        try:
            command = parse_command(text)
            if len(command.encode()) > LINE_BYTES:
                raise LineTooLongError(LINE_BYTES, [])
        except ProtocolError as error:
            self._show(Error(error.code, error.text))
            return True
        if isinstance(command, Exit):
            return False
        self.connection.send(command)
        return True

    def take_line_in_turn(self, line: str) -> bool:
        """Do the same for a line from a pipe, which may have more of them than the server takes: wait for it first."""
        self.connection.wait_for_space()
        return self.take_line(line)

    def wait_until_delivered(self) -> None:
        """Return when the server has carried out every line, and what it answered is shown.

        It answers in order, so a last question is enough. Raises StoppedError when the server goes or stays silent.
        """
        token = secrets.token_hex(8)
        self.connection.send(Ping(token))
        while self._reply() != Pong(token):
            pass

    def close(self) -> None:
        """Leave, and end the connection. Called once."""
        self._console.stop()  # the socket thread may be waiting for it
        self.connection.close(last=Exit())

    # ---------------------------------------------------------------------------------------------------- getting in

    def _greet(self) -> None:
        """Wait for the server's greeting."""
        hello = self._reply()
        if isinstance(hello, Error):
            raise SignInError(clean(hello.text))
        if not isinstance(hello, Hello):
            raise SignInError("what answers there is not a chat server")
        if hello.version != VERSION:
            raise SignInError(f"the server speaks version {hello.version} of the protocol, and this client {VERSION}")

    def _valid_name(self, name: str | None) -> str:
        """Return `name`, or one that is asked for, in the form in which it is sent."""
        while True:
            if name is None:
                name = self._console.ask(NAME_QUESTION)
            try:
                return check_name(clean(name).strip())
            except ProtocolError as error:
                name = self._ask_name(Error(error.code, error.text))

    def _ask_name(self, refusal: Error) -> str:
        """Show why a name is refused, and return another."""
        if not self._console.asks:
            raise SignInError(clean(refusal.text))
        self._show(refusal)
        return self._valid_name(None)

    def _ask_color(self) -> str:
        """Return the colour that the person chooses; empty leaves it to the server."""
        if not self._console.asks:
            return ""
        for row in color.chart(colored=self._seen().colored).splitlines():
            self._console.show(row, aside=True)
        while answer := clean(self._console.ask(COLOR_QUESTION)).strip():
            try:
                return choose_color(answer)
            except ProtocolError as error:
                self._show(Error(error.code, error.text))
        return ""

    def _request(self, name: str, chosen: str) -> Error | None:
        """Ask to be let in; return the refusal, or None."""
        self.connection.send(Name(name, chosen))
        reply = self._reply()
        while not isinstance(reply, Welcome | Error):
            reply = self._reply()
        return reply if isinstance(reply, Error) else None

    def _reply(self) -> Hello | Welcome | Error | Pong:
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
        with self._lock:
            return time.monotonic() - self._heard_at if self._heard_at is not None else 0.0

    # ---------------------------------------------------------------------------------------------- the socket thread

    def _on_event(self, event: Event) -> None:
        with self._lock:
            self._heard_at = None
            inside = bool(self._view.me)
        self._carry_out(event, inside=inside)
        with self._lock:
            self._heard_at = time.monotonic()

    def _carry_out(self, event: Event, *, inside: bool) -> None:
        match event:
            case Pong():
                self._replies.put(event)
            case Hello() | Error() if not inside:
                self._replies.put(event)
            case Welcome():
                self._welcome(event)
            case _:
                self._show(event)
                self._follow(event)

    def _welcome(self, event: Welcome) -> None:
        self._be_called(event.name)
        if self._console.asks:
            self._show_line(self._seen().style("notice", HINT.format(event.name)))
        self._replies.put(event)

    def _follow(self, event: Event) -> None:
        """Keep in mind who and where we are."""
        if isinstance(event, Entered):
            self._console.enter(clean(event.room))
        elif isinstance(event, Renamed) and event.old == self._seen().me:
            self._be_called(event.new)

    def _be_called(self, name: str) -> None:
        with self._lock:
            self._view = dataclasses.replace(self._view, me=name)

    def _on_end(self, reason: str) -> None:
        """End whatever the main thread does, and keep the first reason. Any thread may call it."""
        with self._lock:
            self._reason = self._reason or reason
        self._replies.put(None)
        self._console.stop()

    # ---------------------------------------------------------------------------------------------------- any thread

    def _seen(self) -> View:
        with self._lock:
            return self._view

    def _show(self, event: Event) -> None:
        line = render(event, self._seen())
        if line is not None:
            self._show_line(line, aside=isinstance(event, Error))

    def _show_line(self, line: str, *, aside: bool = False) -> None:
        try:
            self._console.show(line, aside=aside)
        except OSError as error:
            self._on_end(f"nothing more can be shown: {error.strerror}")
