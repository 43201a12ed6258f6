"""A session is one client's thread: it reads lines, has them carried out, and says goodbye whatever ended it.

run -> Transport.open -> _serve -> _receive (a wait with an end) -> _take_lines -> Commands.take_saying, .carry_out
    -> _end: leaves the membership, sends what is left, closes
"""

import contextlib
import itertools
import secrets
import time
from collections.abc import Sequence

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
from hubbub.server.access.limits import TokenBucket, line_cost
from hubbub.server.access.moderation import parse_subnet
from hubbub.server.commands import Commands, EndedError
from hubbub.server.context import ServerContext
from hubbub.server.delivery.actions import RUN_LINES, CloseSubscriber, Finish, Reply
from hubbub.server.journal.journal import JournalError
from hubbub.server.network.admission import Admission
from hubbub.server.network.transport import SocketTransport
from hubbub.server.rooms.room import Member

LINGER_SECONDS = 2.0  # after /bye, for the client to read it before the connection goes
STOPPING = "the server is stopping; come back when it is up again"


class Session:
    """Serves one client from the first byte to the last. `run` is the thread; `stop` is for any other."""

    __slots__ = (
        "_bucket",
        "_commands",
        "_context",
        "_decoder",
        "_member",
        "_name_by",
        "_naming_bytes",
        "_stopped",
        "_transport",
    )

    def __init__(self, transport: SocketTransport, context: ServerContext, admission: Admission) -> None:
        self._context = context
        self._transport = transport
        self._member = Member(transport)
        self._commands = Commands(context, self._member, transport.address, admission)
        self._decoder = LineDecoder()
        limits = context.limits
        self._bucket = TokenBucket(limits.rate, limits.burst)
        self._name_by = time.monotonic() + limits.sign_in_seconds
        self._naming_bytes = limits.sign_in_bytes  # that he may still send until he has a name
        self._stopped = False

    def run(self) -> None:
        """Serve until the client goes, breaks a limit or is lost, or the server stops."""
        ended = EndedError("lost")
        try:
            self._transport.handshake(self._context.limits.handshake_seconds)
            self._commands.answer(Hello(VERSION, "password" if self._commands.locked_out else "-"))
            self._serve()
        except EndedError as error:
            ended = error
        except OSError as error:
            logger.info("lost {} {!r}: {}", self._transport.address, self._member.name, error)
        except Exception:  # noqa: BLE001  # the top of a thread: a bug ends this client only
            logger.exception("the session of {} {!r} failed", self._transport.address, self._member.name)
            ended = EndedError("lost", "the server made a mistake; please come back")
        finally:
            self._end(ended)

    def stop(self) -> None:
        """End the session soon. Any thread, any number of times."""
        self._stopped = True
        self._transport.end_reading()

    @property
    def subnet(self) -> str:
        """What is banned with its address."""
        return parse_subnet(self._transport.address)

    def expel(self, action: str) -> None:
        """Make whoever is here leave for good, as `Registry.expel` does, unless he is an operator. Any thread."""
        with contextlib.suppress(ProtocolError):
            self._context.membership.expel(self._member, action, self._commands.refuse_operator)

    # ------------------------------------------------------------------------------------------------- reading

    def _serve(self) -> None:
        """Read and carry out lines; always ends by raising."""
        while True:
            size, lines, too_long = self._read()
            self._take_lines(lines)
            self._commands.hand_over()
            if too_long:
                self._commands.answer(Error(too_long.code, too_long.text))
                raise EndedError("kicked", too_long.text)
            if not self._member.name:
                self._count_while_nameless(size)

    def _read(self) -> tuple[int, list[str], LineTooLongError | None]:
        """Return how many bytes came, the lines in them, and what is wrong with what comes after these."""
        data = self._receive()
        try:
            return len(data), protocol.decode_lines(self._decoder.feed(data)), None
        except LineTooLongError as error:
            return len(data), protocol.decode_lines(error.lines), error

    def _count_while_nameless(self, size: int) -> None:
        """End the session of somebody who sends on and on without saying who he is."""
        self._naming_bytes -= size
        if self._naming_bytes < 0:
            text = f"{self._context.limits.sign_in_bytes} bytes have come and no name; first say /name NAME [COLOR]"
            self._commands.answer(Error("name-needed", text))
            raise EndedError("kicked", text)

    def _receive(self) -> bytes:
        """Return what the client sent, waiting no longer than he may be silent, or nameless."""
        asked = False
        if not self._member.name and time.monotonic() > self._name_by:
            self._endure_silence(asked=asked)
        while True:
            try:
                data = self._transport.recv(self._patience(asked=asked))
            except TimeoutError:
                self._endure_silence(asked=asked)
                asked = True
                continue
            self._heed_the_end()
            if not data:
                raise EndedError("lost")
            return data

    def _patience(self, *, asked: bool) -> float:
        """How many seconds to wait for the next bytes."""
        if not self._member.name:
            return max(0.001, self._name_by - time.monotonic())
        if asked:
            return self._context.limits.idle_timeout_seconds - self._context.limits.ping_seconds
        return self._context.limits.ping_seconds

    def _endure_silence(self, *, asked: bool) -> None:
        """Ask whether anybody is there, or end the session of somebody who has had his time."""
        if not self._member.name:
            raise EndedError("lost", f"you did not say /name NAME within {self._context.limits.sign_in_seconds:g} s")
        if asked:
            raise EndedError("lost", f"nothing came from you for {self._context.limits.idle_timeout_seconds:g} s")
        # At once: he may be catching up with a long past, and answer all the same.
        ping = protocol.Ping(secrets.token_hex(4)).encode()
        self._context.delivery.submit(Reply(self._member, ping, at_once=True))

    def _take_lines(self, lines: list[str]) -> None:
        """Carry out what was read; what is said without a command between goes on together, as a run."""
        for is_said, some in itertools.groupby(lines, key=_is_said):
            if is_said and self._member.name:
                self._take_run(list(some))
            else:
                for line in some:
                    self._slow_down([line])
                    self._take_line(line)

    def _take_run(self, lines: list[str]) -> None:
        """Say what was read, as much of it at once as a client may say."""
        while lines:
            count = self._slow_down(lines[:RUN_LINES])
            if texts := [line for line in lines[:count] if line]:
                self._say_at_once(texts)
            lines = lines[count:]

    def _say_at_once(self, texts: list[str]) -> None:
        try:
            self._member.last_active = time.monotonic()
            self._commands.take_saying(Said, texts)
        except ProtocolError:  # line by line then, so that each has its own answer
            for text in texts:
                self._take_line(text)

    def _take_line(self, line: str) -> None:
        if not line:
            return
        try:
            self._commands.carry_out(line)
        except ProtocolError as error:
            self._log_refusal(error)
            self._commands.hand_over()
            self._commands.answer(Error(error.code, error.text))
        except JournalError as error:
            logger.error("{}", error)
            self._commands.answer(Error("unavailable", "the server cannot use its journal just now; try again later"))

    def _log_refusal(self, error: ProtocolError) -> None:
        address = self._transport.address
        if error.code in _EVERYDAY_ERRORS or (more := self._context.log_throttle.allow((address, error.code))) is None:
            return
        logger.info("refused {} {!r}: {}{}", address, self._member.name, error.code, more)

    def _slow_down(self, lines: Sequence[str]) -> int:
        """Make a client who is too fast wait: what he sends stays where it is until it is read.

        Return how many of the lines may go now, at least one.
        """
        count, seconds = self._bucket.consume_up_to(len(lines), map(line_cost, lines))
        if seconds:
            self._commands.hand_over()
            self._transport.reset_read_size()
            self._context.stopping.wait(seconds)
        if self._stopped:
            self._commands.hand_over()  # what was read before is still said
        self._heed_the_end()
        return count

    def _heed_the_end(self) -> None:
        """End the session if another thread wants it."""
        self._commands.heed_farewell()
        if self._stopped:
            raise EndedError("stopping", STOPPING)

    # ------------------------------------------------------------------------------------------------- the end

    def _end(self, ended: EndedError) -> None:
        """Leave, once and whatever happened: the name is free, the client gets what is left, the descriptor goes."""
        try:
            self._leave_registry(ended)
            if ended.bye:
                self._context.delivery.submit(Finish(self._member, Bye(ended.bye).encode()))
                self._linger()
        finally:
            self._context.delivery.submit(CloseSubscriber(self._member))

    def _leave_registry(self, ended: EndedError) -> None:
        name = self._member.name
        if ended.why != "stopping":  # at the stop of the server that would be a write for everybody, in a hurry
            self._commands.use_name()
        if ended.why == "lost":
            self._context.presence.hold_place(self._member)
        else:
            self._context.membership.leave(self._member, ended.why)
        if name:
            logger.info("went {} {!r}: {}", self._transport.address, name, ended.why)

    def _linger(self) -> None:
        """Read on for a while: closing a connection with unread bytes in it would tear up the /bye on its way."""
        deadline = time.monotonic() + LINGER_SECONDS
        try:
            while (left := deadline - time.monotonic()) > 0 and self._transport.recv(left):
                pass
        except OSError:  # a TimeoutError is one too: it is over either way
            return


def _is_said(line: str) -> bool:
    """Return whether a line is said as it stands, and no command."""
    return not line.startswith("/")


# Not for the log: people mistype.
_EVERYDAY_ERRORS = frozenset({"unknown-command", "missing-argument", "argument-invalid", "no-such-person"})
