"""A session serves one client on its own thread: it reads lines, executes them, and cleans up at the end.

run -> transport.handshake -> _serve -> _receive (with a timeout) -> _execute_lines -> Client.add_post, commands.execute
    -> _end: leaves the room, sends what is left, closes
"""

import contextlib
import itertools
import secrets
import time
from collections.abc import Sequence
from functools import partial

from loguru import logger

from hubbub import protocol
from hubbub.protocol import (
    VERSION,
    Bye,
    Error,
    Hello,
    LineDecoder,
    LineTooLongError,
    ProtocolError,
    Said,
)
from hubbub.server.access.limits import PARTIAL_READ_COST, REFUSAL_COST, line_cost
from hubbub.server.access.moderation import parse_subnet
from hubbub.server.commands import Client, SessionEndedError, execute, refuse_operator
from hubbub.server.context import ServerContext
from hubbub.server.delivery.actions import RUN_LINES, CloseSubscriber, Finish, Reply
from hubbub.server.journal.journal import JournalError
from hubbub.server.network.admission import Admission, limited_subnet
from hubbub.server.network.transport import SocketTransport
from hubbub.server.rooms.room import Member

LINGER_SECONDS = 2.0  # after /bye, for the client to read it before the connection is closed
RECORD_USE_SECONDS = 600.0  # the use of an owned name is recorded so often, so that it does not expire while in use
STOPPING = "the server is stopping; reconnect later"
DROPPED = "too many clients are signing in, and you have no name yet; connect again and send /name NAME"


class Session:
    """The session of one client. Its own thread calls `run`; any thread may call `stop` and `drop`."""

    __slots__ = (
        "_client",
        "_context",
        "_decoder",
        "_member",
        "_record_use_at",
        "_sign_in_bytes",
        "_sign_in_deadline",
        "_stopped_with",
        "_transport",
    )

    def __init__(self, transport: SocketTransport, context: ServerContext, admission: Admission) -> None:
        self._context = context
        self._transport = transport
        self._member = Member(transport, subnet=limited_subnet(transport.address, context.limits))
        self._client = Client(context, self._member, transport.address, admission)
        self._decoder = LineDecoder()
        limits = context.limits
        self._sign_in_deadline = time.monotonic() + limits.sign_in_seconds
        self._sign_in_bytes = limits.sign_in_bytes  # the client may still send so many before it has a name
        self._record_use_at = time.monotonic() + RECORD_USE_SECONDS
        self._stopped_with: SessionEndedError | None = None  # what another thread ended the session with
        admission.drop = self.drop

    def run(self) -> None:
        """Serve until the client leaves, is lost or breaks a limit, or the server stops."""
        ended = SessionEndedError("lost")
        try:
            self._transport.handshake(self._context.limits.handshake_seconds)
            self._client.reply(Hello(VERSION, "password" if self._client.needs_password else "-"))
            self._serve()
        except SessionEndedError as error:
            ended = error
        except OSError as error:
            logger.info("lost {} {!r}: {}", self._transport.address, self._member.name, error)
        except Exception:  # noqa: BLE001  # the top of a thread: a bug ends this client only
            logger.exception("the session of {} {!r} failed", self._transport.address, self._member.name)
            ended = SessionEndedError("lost", "Internal server error; reconnecting")
        finally:
            self._end(ended)

    def stop(self) -> None:
        """Make the session end soon. Any thread; idempotent."""
        self._stopped_with = SessionEndedError("stopping", STOPPING)
        self._transport.end_reading()

    def drop(self) -> None:
        """Make the session end soon, to make room for other clients, unless it has a name. Any thread; idempotent."""
        if not self._member.name:
            self._stopped_with = self._stopped_with or SessionEndedError("lost", DROPPED)
            self._transport.end_reading()

    @property
    def subnet(self) -> str:
        """The subnet of the client's address, which a ban of the address covers."""
        return parse_subnet(self._transport.address)

    def expel(self, action: str) -> None:
        """Expel the member of this session for `action`, unless they are an operator. Any thread."""
        with contextlib.suppress(ProtocolError):
            self._context.membership.expel(self._member, action, partial(refuse_operator, self._context))

    # ------------------------------------------------------------------------------------------------- reading

    def _serve(self) -> None:
        """Read and execute lines until an exception ends the session."""
        while True:
            size, lines, too_long = self._read()
            self._execute_lines(lines)
            self._client.submit_posts()
            if not lines:
                self._wait(self._client.bucket.consume_up_to(1, [PARTIAL_READ_COST])[1])
            if too_long:
                self._client.reply(Error(too_long.code, too_long.text))
                raise SessionEndedError("kicked", too_long.text)
            if not self._member.name:
                self._limit_sign_in_bytes(size)
            if time.monotonic() >= self._record_use_at:
                self._record_use_at = time.monotonic() + RECORD_USE_SECONDS
                self._client.record_name_use()

    def _read(self) -> tuple[int, list[str], LineTooLongError | None]:
        """Return how many bytes arrived, the lines in them, and the error of a line that is too long."""
        data = self._receive()
        try:
            return len(data), protocol.decode_lines(self._decoder.feed(data)), None
        except LineTooLongError as error:
            return len(data), protocol.decode_lines(error.lines), error

    def _limit_sign_in_bytes(self, size: int) -> None:
        """End the session of a client that sends too much before it has a name."""
        self._sign_in_bytes -= size
        if self._sign_in_bytes < 0:
            text = f"{self._context.limits.sign_in_bytes} bytes arrived and no name; first send /name NAME [COLOR]"
            self._client.reply(Error("name-needed", text))
            raise SessionEndedError("kicked", text)

    def _receive(self) -> bytes:
        """Return the next bytes from the client. Ping a silent client; raise SessionEndedError at a timeout."""
        pinged = False
        if not self._member.name and time.monotonic() > self._sign_in_deadline:
            self._handle_timeout(pinged=pinged)
        while True:
            try:
                data = self._transport.recv(self._timeout(pinged=pinged))
            except TimeoutError:
                self._handle_timeout(pinged=pinged)
                pinged = True
                continue
            self._check_ended()
            if not data:
                raise SessionEndedError("lost")
            return data

    def _timeout(self, *, pinged: bool) -> float:
        """Return how many seconds to wait for the next bytes."""
        if not self._member.name:
            return max(0.001, self._sign_in_deadline - time.monotonic())
        if pinged:
            return self._context.limits.idle_timeout_seconds - self._context.limits.ping_seconds
        return self._context.limits.ping_seconds

    def _handle_timeout(self, *, pinged: bool) -> None:
        """Ping a silent client; end the session if it was pinged already, or did not sign in."""
        if not self._member.name:
            raise SessionEndedError("lost", f"no /name NAME arrived within {self._context.limits.sign_in_seconds:g} s")
        if pinged:
            raise SessionEndedError(
                "lost", f"nothing arrived from you for {self._context.limits.idle_timeout_seconds:g} s"
            )
        # At once, because a client that is still receiving a long backlog can answer, too.
        ping = protocol.Ping(secrets.token_hex(4)).encode()
        self._context.delivery.submit(Reply(self._member, ping, at_once=True))

    def _execute_lines(self, lines: list[str]) -> None:
        """Execute the lines in order; send each run of consecutive messages together."""
        for is_message, run in itertools.groupby(lines, key=_is_message):
            if is_message and self._member.name:
                self._send_messages(list(run))
            else:
                for line in run:
                    self._limit_rate([line])
                    self._execute_line(line)

    def _send_messages(self, lines: list[str]) -> None:
        """Send messages in batches of the size that the rate limit allows."""
        while lines:
            count = self._limit_rate(lines[:RUN_LINES])
            if texts := [line for line in lines[:count] if line]:
                self._add_post(texts)
            lines = lines[count:]

    def _add_post(self, texts: list[str]) -> None:
        try:
            self._member.last_active = time.monotonic()
            self._client.add_post(Said, texts)
        except ProtocolError:  # one of them is refused: send each alone, so that each gets its own answer
            for text in texts:
                self._execute_line(text)

    def _execute_line(self, line: str) -> None:
        if not line:
            return
        try:
            execute(self._client, line)
        except ProtocolError as error:
            self._log_refusal(error)
            self._client.submit_posts()
            self._client.reply(Error(error.code, error.text))
            self._client.bucket.charge(REFUSAL_COST)
        except JournalError as error:
            logger.error("{}", error)
            self._client.reply(Error("unavailable", "the server cannot use its journal; try again later"))

    def _log_refusal(self, error: ProtocolError) -> None:
        address = self._transport.address
        if error.code in _UNLOGGED_ERRORS or (more := self._context.log_throttle.allow((address, error.code))) is None:
            return
        logger.info("refused {} {!r}: {}{}", address, self._member.name, error.code, more)

    def _limit_rate(self, lines: Sequence[str]) -> int:
        """Sleep while the client is over its rate. Return how many of the first lines may be executed: at least one."""
        count, seconds = self._client.bucket.consume_up_to(len(lines), map(line_cost, lines))
        self._wait(seconds)
        return count

    def _wait(self, seconds: float) -> None:
        """Read nothing for so long. Raises SessionEndedError if another thread has ended the session."""
        if seconds:
            self._client.submit_posts()
            self._transport.reset_read_size()
            self._context.stopping.wait(seconds)
        if self._stopped_with:
            self._client.submit_posts()  # those that were accepted before are still sent
        self._check_ended()

    def _check_ended(self) -> None:
        """Raise SessionEndedError if another thread has ended the session."""
        self._client.end_if_expelled()
        if self._stopped_with:
            raise self._stopped_with

    # ------------------------------------------------------------------------------------------------- the end

    def _end(self, ended: SessionEndedError) -> None:
        """Leave the room, send what is left and close."""
        try:
            self._leave_membership(ended)
            if ended.farewell:
                self._context.delivery.submit(Finish(self._member, Bye(ended.farewell).encode()))
                self._linger()
        finally:
            self._context.delivery.submit(CloseSubscriber(self._member))

    def _leave_membership(self, ended: SessionEndedError) -> None:
        name = self._member.name
        if ended.reason != "stopping":  # at the stop, a write for each member would take too long
            self._client.record_name_use()
        if ended.reason == "lost":
            self._context.presence.hold_place(self._member)
        else:
            self._context.membership.leave(self._member, ended.reason)
        if name:
            logger.info("left {} {!r}: {}", self._transport.address, name, ended.reason)

    def _linger(self) -> None:
        """Read a moment longer: a close with unread bytes would reset the connection, and the /bye would be lost."""
        deadline = time.monotonic() + LINGER_SECONDS
        try:
            while (left := deadline - time.monotonic()) > 0 and self._transport.recv(left):
                pass
        except OSError:  # TimeoutError included
            return


def _is_message(line: str) -> bool:
    """Return whether a line is a message, not a command."""
    return not line.startswith("/")


# They are typing errors of the user.
_UNLOGGED_ERRORS = frozenset({"unknown-command", "missing-argument", "argument-invalid", "no-such-person"})
