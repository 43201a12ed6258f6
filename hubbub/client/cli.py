"""The chat client for a terminal: `python3 chat_client.py [HOST[:PORT]]`.

The main thread reads the keyboard, the thread named `socket` reads and writes the connection. Where standard input or
output is no terminal, lines go in and out plainly, and the client ends when input does and all of it was delivered.

A connection that is lost is made again, and what was typed meanwhile is said then, once.

Exit codes: 0 after leaving, in a pipe after everything was delivered; 1 when the server went before it let us in, or
would not let us in again, or when nothing more could be read or shown; 2 when it could not start: a bad option, no
server, another server than the one we know, no way in; 3 when lines of a pipe were refused or could not be delivered;
130 when a pipe was interrupted; 141 when nobody reads its output any more; 128 and its number for a signal.
"""

import argparse
import dataclasses
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import NoReturn

from loguru import logger

from hubbub.client.commands import understand
from hubbub.client.input import InputHandler
from hubbub.client.network.address import DEFAULT_HOST, DEFAULT_PORT, Address, Addresses, parse_addresses
from hubbub.client.network.dialer import AnyDialer, Dialer
from hubbub.client.network.identity import Identity
from hubbub.client.network.tls_trust import (
    KNOWN_SERVERS,
    Authorities,
    FirstUse,
    KnownServers,
    Pin,
    TlsTrust,
    TrustError,
)
from hubbub.client.network.transport import SocketTransport
from hubbub.client.options import BAD_OPTION, PROGRAM, default_log, parse_options
from hubbub.client.output.json_lines import to_json
from hubbub.client.output.plain import PlainUi
from hubbub.client.output.render import render_notice
from hubbub.client.output.ui import StoppedError, Ui
from hubbub.client.password import PasswordError, find_password
from hubbub.client.prompts import Prompts
from hubbub.client.session import NameRefusedError, NotSentError, PasswordRefusedError, Session, SignInError
from hubbub.client.state.backlog import Backlog
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.settings import Settings, SettingsError, SettingsFile
from hubbub.client.terminal.history import LineHistory
from hubbub.client.terminal.screen import Screen
from hubbub.color import Palette
from hubbub.log import LogFileError, configure_log
from hubbub.protocol import Join, Name, ProtocolError

LEFT = 0
ENDED = 1
NOT_STARTED = BAD_OPTION
NOT_SENT = 3
INTERRUPTED = 130  # as a shell tells it: 128 and the number of SIGINT
READER_GONE = 141  # as a shell tells it: 128 and the number of SIGPIPE


class Mode(Enum):
    """How lines come in."""

    EDITOR = "editor"  # from a person, in a terminal that can move its cursor
    PLAIN = "plain"  # from a person, line by line
    PIPE = "pipe"  # from a program or a file
    TAIL = "tail"  # not at all

    @property
    def person(self) -> bool:
        """Whether somebody types and reads, and is to be remembered."""
        return self in (Mode.EDITOR, Mode.PLAIN)


def mode_of(options: argparse.Namespace) -> Mode:
    """Return how lines come in."""
    if options.tail:
        return Mode.TAIL
    if not sys.stdin.isatty():
        return Mode.PIPE
    simple = options.plain or options.json or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb"
    return Mode.PLAIN if simple else Mode.EDITOR


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise SystemExit, so that the terminal is left as it was. Needs the main thread."""
    # Windows has no SIGHUP; and one that is ignored, as under nohup, stays so.
    numbers = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, _exit_by_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_by_signal(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 (what a handler is called with)
    signal.signal(number, signal.SIG_IGN)  # a second one must not disturb the leaving
    raise SystemExit(128 + number)


def open_closed_streams() -> None:
    """Give None, which Python has for a stream that whoever started us has closed, the meaning of an empty file."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r+"))  # noqa: SIM115  # for as long as the process lives


def say(text: str) -> None:
    """Tell the person one line, on standard error."""
    sys.stderr.write(f"{PROGRAM}: {text}\n")


class NoServerError(Exception):
    """There is no server at the address; the text says how to start one."""


def _keeps(line: str) -> bool:
    """Say whether a line that was typed may be written to a file: a room's key may not, mistyped commands neither."""
    try:
        command = understand(line)
    except ProtocolError:
        return False  # it may have been a /join, or what somebody took for the way to say the password
    return not (isinstance(command, Join) and command.key)


class ClientApp:
    """One run of the client: ask who the person is, connect, chat and leave."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._settings = SettingsFile(options.config, self._tell)
        self._mode = mode_of(options)
        self._ui = self._open_console()
        self._identity: Identity | None = None
        self._session: Session | None = None
        self._password = ""  # of the server; in memory alone
        # From `_chat` on:
        self._addresses: Addresses
        self._highlights: Highlights
        self._dialer: Dialer

    def run(self) -> int:
        """Return the exit code."""
        code, farewell = ENDED, ""
        try:
            code = self._chat()
        except (NoServerError, PasswordError, SignInError, TrustError) as error:
            code, farewell = NOT_STARTED, str(error)
        except NotSentError as error:
            code, farewell = (NOT_SENT, str(error)) if self._unsent else (LEFT, "")  # or only answers are missing
        except ProtocolError as error:
            farewell = error.text
        except EOFError:
            code = LEFT
        except StoppedError:
            code = ENDED if self._session is None or self._session.reason else READER_GONE
        except BrokenPipeError:
            code = READER_GONE
        except OSError as error:
            farewell = f"nothing more can be read or shown: {error.strerror or error}"
        finally:
            self._leave(code, farewell)
        return code

    @property
    def _unsent(self) -> list[str]:
        return self._session.unsent if self._session is not None else []

    def _open_console(self) -> Ui:
        palette = Palette.for_stream(sys.stdout)
        if self._mode is Mode.EDITOR:
            return Screen(palette, LineHistory(self._options.config, self._tell, _keeps))
        source = sys.stdin if self._mode is not Mode.TAIL else None
        to_line = to_json if self._options.json else None
        return PlainUi(source, sys.stdout, sys.stderr, palette, Palette.for_stream(sys.stderr), to_line)

    def _tell(self, text: str) -> None:
        if self._session is not None:
            self._session.tell(text)
        else:
            self._ui.show_line(render_notice(text))

    # --------------------------------------------------------------------------------------------------- getting in

    def _chat(self) -> int:
        self._take_settings()
        self._password = find_password(self._options.password_file)
        self._dialer = AnyDialer([Dialer(*address, self._trust(address)) for address in self._addresses])
        if self._mode is not Mode.TAIL:  # which may be called anything, and owns no name
            self._identity = Identity(self._options.config, str(self._addresses), self._tell)
        session = self._enter(self._who())
        self._remember(session)
        self._read_lines(session)
        return NOT_SENT if self._mode is Mode.PIPE and session.refused_lines else LEFT

    def _take_settings(self) -> None:
        settings = self._settings.load()
        self._addresses = self._options.address or parse_addresses(settings.server or DEFAULT_HOST)
        self._highlights = Highlights(settings.ignored, settings.notify)

    def _trust(self, address: Address) -> TlsTrust | None:
        """Return how to know the server at an address, None without TLS. Raises TrustError."""
        if self._options.ca:
            return Authorities(self._options.ca)
        if self._options.pin:
            return Pin(self._options.pin)
        servers, server = KnownServers(self._options.config / KNOWN_SERVERS), str(address)
        # With a server that spoke TLS before, nothing else will do: somebody in between could ask for it.
        return FirstUse(servers, server, self._tell) if self._options.tls or servers.knows(server) else None

    def _who(self) -> Name:
        """Return who the person is: as told, as the last time, or as they answer."""
        remembered = self._settings.settings if self._mode.person else Settings()
        name = self._options.name or remembered.name or None
        chosen = self._options.color or remembered.color or None
        if self._mode is Mode.TAIL:
            return Name(name or f"tail-{secrets.token_hex(2)}", chosen or "")
        if self._ui.is_interactive and (name is None or chosen is None):
            self._connect().close()  # nobody should answer questions for a server that is not there
        try:
            return Prompts(self._ui).who(name, chosen)
        except ProtocolError as error:
            raise SignInError(error.text) from error

    def _enter(self, who: Name) -> Session:
        """Sign in, with another name or password if the server refuses this one and there is somebody to ask."""
        while True:
            self._session = session = self._open_session()
            try:
                session.start()
                session.sign_in(who, self._options.room or "")
            except NameRefusedError as error:
                if not self._ui.is_interactive:
                    raise
                session.close()  # the server gives nobody much time to think of a name
                who = Prompts(self._ui).other(str(error), who)
            except PasswordRefusedError as error:
                if not self._ui.is_interactive:
                    raise
                session.close()
                self._password = Prompts(self._ui).password(str(error) if self._password else "")
            else:
                return session

    def _open_session(self) -> Session:
        return Session(
            self._connect(),
            self._dialer,
            self._ui,
            self._highlights,
            timeout=self._options.timeout,
            past=self._mode.person,
            curious=self._mode is Mode.EDITOR,
            replay=Backlog(self._options.since) if self._options.since is not None else None,
            password=self._password,
            identity=self._identity,
        )

    def _connect(self) -> SocketTransport:
        try:
            return self._dialer.connect()
        except OSError as error:
            raise NoServerError(no_server(self._addresses, error)) from error

    # -------------------------------------------------------------------------------------------- staying and leaving

    def _read_lines(self, session: Session) -> None:
        handler = InputHandler(session, self._highlights, self._settings, self._ui)
        if isinstance(self._ui, Screen):
            self._ui.read_lines(handler)
        if isinstance(self._ui, PlainUi):
            commands = self._mode.person or self._options.commands
            self._ui.read_lines(handler.handle_line_and_wait if commands else handler.send_text_and_wait)
            session.wait_until_delivered()

    def _remember(self, session: Session) -> None:
        """Start as who the person is now, and where, the next time."""
        who = session.who
        server = str(self._addresses)

        def change(settings: Settings) -> Settings:
            return dataclasses.replace(settings, name=who.name, color=who.color, server=server)

        if self._mode.person and change(self._settings.settings) != self._settings.settings:
            try:
                self._settings.change(change)
            except SettingsError as error:
                self._tell(str(error))

    def _leave(self, code: int, farewell: str) -> None:
        """End the connection, give the terminal back, and say what the person should know."""
        unsent = [] if code == LEFT or self._mode is Mode.TAIL else self._unsent
        self._ui.stop()  # the socket thread may be waiting for it
        if self._session is not None:
            if self._session.inside:
                self._remember(self._session)
            self._session.close()
        self._ui.close()
        reason = self._session.reason if self._session is not None else ""
        for text in filter(None, (farewell, reason, not_sent(unsent))):
            say(text)


def not_sent(lines: Sequence[str]) -> str:
    """Return a line that tells how many lines were not sent; empty for none."""
    if not lines:
        return ""
    count = "1 line was" if len(lines) == 1 else f"{len(lines)} lines were"
    return f"{count} not sent; the first: {lines[0]}"


def no_server(addresses: Addresses, error: OSError) -> str:
    """Return a line that says what is missing and how to start it."""
    port = "" if addresses[0].port == DEFAULT_PORT else f" --port {addresses[0].port}"
    return f"no server at {addresses} ({error.strerror or error}); start one with: python3 chat_server.py{port}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the client and return its exit code. Needs the main thread."""
    open_closed_streams()
    options = parse_options(argv)
    if options.name is None and mode_of(options) is Mode.PIPE:
        say("standard input is no terminal, so nobody can be asked for a name; give one with --name")
        return NOT_STARTED
    try:
        configure_log(options.log_file or default_log())
    except LogFileError as error:
        if options.log_file:
            say(str(error))
            return NOT_STARTED
        say(f"{error}; going on without one")
    logger.info("starting")
    try:
        with ended_by_signals():
            code = ClientApp(options).run()
    except KeyboardInterrupt:
        code = LEFT if mode_of(options).person else INTERRUPTED
    except SystemExit as ended:  # by a signal
        code = ended.code if isinstance(ended.code, int) else ENDED
    logger.info("ending with exit code {}", code)
    return code
