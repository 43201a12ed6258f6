"""One run of the client: it builds the parts, signs in, reads lines until the user leaves, and closes everything."""

import argparse
import dataclasses
import os
import secrets
import sys
from collections.abc import Sequence
from enum import Enum, IntEnum

from hubbub.client.commands import parse_line
from hubbub.client.input import InputHandler
from hubbub.client.login import NameRefusedError, PasswordRefusedError, SignInError
from hubbub.client.network.address import DEFAULT_HOST, Address, Addresses, parse_addresses
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
from hubbub.client.options import PROGRAM
from hubbub.client.output.json_lines import to_json
from hubbub.client.output.plain import PlainUi
from hubbub.client.output.render import render_notice
from hubbub.client.output.ui import StoppedError, Ui
from hubbub.client.progress_timeout import NotSentError
from hubbub.client.prompts import Prompts
from hubbub.client.session import Session
from hubbub.client.state.backlog import Backlog
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.settings import Settings, SettingsError, SettingsFile
from hubbub.client.terminal.history import LineHistory
from hubbub.client.terminal.screen import Screen
from hubbub.color import Palette
from hubbub.options import BAD_OPTION, DEFAULT_PORT, PasswordError, find_password
from hubbub.protocol import Color, Join, Name, ProtocolError


class ExitCode(IntEnum):
    """The exit code of the client."""

    LEFT = 0  # the user left; in a pipe, everything was delivered
    ENDED = 1  # the server ended the session, or nothing more could be read or shown
    NOT_STARTED = BAD_OPTION  # a bad option, no server, the wrong server, or no sign-in
    NOT_SENT = 3  # lines of a pipe were refused or could not be delivered
    NOT_CONFIRMED = 4  # lines of a pipe were sent, but the server did not confirm them
    INTERRUPTED = 130  # as a shell reports it: 128 and the number of SIGINT
    READER_GONE = 141  # as a shell reports it: 128 and the number of SIGPIPE


class Mode(Enum):
    """The source of the input lines."""

    EDITOR = "editor"  # a user, in a terminal that can move its cursor
    PLAIN = "plain"  # a user, line by line
    PIPE = "pipe"  # a program or a file
    TAIL = "tail"  # nowhere: only events are shown

    @property
    def has_user(self) -> bool:
        """Whether a user types and reads; their name and colour are then stored."""
        return self in (Mode.EDITOR, Mode.PLAIN)


def mode_of(options: argparse.Namespace) -> Mode:
    """Return where lines come from, with these options and standard streams."""
    if options.tail:
        return Mode.TAIL
    if not sys.stdin.isatty():
        return Mode.PIPE
    simple = options.plain or options.json or not sys.stdout.isatty() or os.environ.get("TERM") == "dumb"
    return Mode.PLAIN if simple else Mode.EDITOR


class NoServerError(Exception):
    """No server listens at the address; the text says what to do."""


class ClientApp:
    """Everything that one run of the client consists of, from the settings to the session."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._settings = SettingsFile(options.config, self._tell)
        self._mode = mode_of(options)
        self._ui = self._open_ui()
        self._identity: Identity | None = None
        self._session: Session | None = None
        self._password = ""  # of the server; only in memory
        # From `_chat` on:
        self._addresses: Addresses
        self._highlights: Highlights
        self._dialer: Dialer

    def run(self) -> int:
        """Return the exit code. Needs the main thread."""
        code, message = ExitCode.ENDED, ""
        try:
            code = self._chat()
        except (NoServerError, PasswordError, SignInError, TrustError) as error:
            code, message = ExitCode.NOT_STARTED, str(error)
        except NotSentError as error:
            code, message = self._code_for_unsent(), str(error)
            message = "" if code is ExitCode.LEFT else message
        except ProtocolError as error:
            message = error.text
        except EOFError:
            code = ExitCode.LEFT
        except StoppedError:
            code = ExitCode.ENDED if self._session is None or self._session.reason else ExitCode.READER_GONE
        except BrokenPipeError:
            code = ExitCode.READER_GONE
        except OSError as error:
            message = f"nothing more can be read or shown: {error.strerror or error}"
        finally:
            self._close(code, message)
        return code

    def _code_for_unsent(self) -> ExitCode:
        """Return the exit code for the lines that are unsent; without any, only answers are missing."""
        unconfirmed, unsent = self._unconfirmed_and_unsent()
        if unconfirmed:
            return ExitCode.NOT_CONFIRMED
        return ExitCode.NOT_SENT if unsent else ExitCode.LEFT

    def _unconfirmed_and_unsent(self) -> tuple[list[str], list[str]]:
        return self._session.unconfirmed_and_unsent if self._session is not None else ([], [])

    def _open_ui(self) -> Ui:
        palette = Palette.for_stream(sys.stdout)
        if self._mode is Mode.EDITOR:
            return Screen(palette, LineHistory(self._options.config, self._tell, may_be_stored))
        source = sys.stdin if self._mode is not Mode.TAIL else None
        to_line = to_json if self._options.json else None
        return PlainUi(source, sys.stdout, sys.stderr, palette, Palette.for_stream(sys.stderr), to_line)

    def _tell(self, text: str) -> None:
        if self._session is not None:
            self._session.display.tell(text)
        else:
            self._ui.show_line(render_notice(text))

    # ------------------------------------------------------------------------------------------------------ signing in

    def _chat(self) -> ExitCode:
        self._load_settings()
        self._password = self._load_password()
        self._dialer = AnyDialer([Dialer(*address, self._trust(address)) for address in self._addresses])
        if self._mode is not Mode.TAIL:  # its name is arbitrary, and it owns none
            self._identity = Identity(self._options.config, str(self._addresses), self._tell)
        user = self._find_user()
        session = self._sign_in(user)
        self._remember(session)
        if not user.color:  # only now, because the server may refuse the name
            self._choose_color(session)
        self._read_lines(session)
        return ExitCode.NOT_SENT if self._mode is Mode.PIPE and session.display.refused_lines else ExitCode.LEFT

    def _load_settings(self) -> None:
        settings = self._settings.load()
        self._addresses = self._options.address or parse_addresses(settings.server or DEFAULT_HOST)
        self._highlights = Highlights(settings.ignored, settings.notify)

    def _load_password(self) -> str:
        """Return the server's password; empty where none is configured. Raises PasswordError."""
        path = self._options.password_file
        found = find_password(path, os.environ)
        if path is not None and found is not None and not found.text:
            raise PasswordError(f"the first line of {path} is empty; write the password of the server there")
        return found.text if found is not None else ""

    def _trust(self, address: Address) -> TlsTrust | None:
        """Return how to verify the server at an address; None without TLS. Raises TrustError."""
        if self._options.ca:
            return Authorities(self._options.ca)
        if self._options.pin:
            return Pin(self._options.pin)
        servers, server = KnownServers(self._options.config / KNOWN_SERVERS), str(address)
        # A server that spoke TLS before must do so again: an interceptor could ask for plain text.
        return FirstUse(servers, server, self._tell) if self._options.tls or servers.is_known(server) else None

    def _find_user(self) -> Name:
        """Return the user's name and colour, empty if unknown: from the options, the settings, or the user's answer."""
        remembered = self._settings.settings if self._mode.has_user else Settings()
        name = self._options.name or remembered.name or None
        color = self._options.color or remembered.color
        if self._mode is Mode.TAIL:
            return Name(name or f"tail-{secrets.token_hex(2)}", color)
        if self._ui.is_interactive and name is None:
            self._connect().close()  # no user should answer prompts for a server that is not there
        try:
            return Name(Prompts(self._ui).ask_name(name), color)
        except ProtocolError as error:
            raise SignInError(error.text) from error

    def _choose_color(self, session: Session) -> None:
        """Ask an interactive user for a colour, which the server has chosen so far."""
        if self._ui.is_interactive and (color := Prompts(self._ui).ask_color(session.user.color)):
            session.submit(Color(color))

    def _sign_in(self, user: Name) -> Session:
        """Sign in; where the server refuses the name or the password, ask an interactive user for another."""
        while True:
            self._session = session = self._open_session()
            try:
                session.sign_in(user, self._options.room or "")
            except NameRefusedError as error:
                if not self._ui.is_interactive:
                    raise
                session.close()  # the server gives little time to think of a name
                user = Prompts(self._ui).ask_other_name(str(error), user)
            except PasswordRefusedError as error:
                if not self._ui.is_interactive:
                    raise
                session.close()
                self._password = Prompts(self._ui).ask_password(str(error) if self._password else "")
            else:
                return session

    def _open_session(self) -> Session:
        return Session(
            self._connect(),
            self._dialer,
            self._ui,
            self._highlights,
            timeout=self._options.timeout,
            show_past=self._mode.has_user,
            look_up_names=self._mode is Mode.EDITOR,
            backlog=Backlog(self._options.since) if self._options.since is not None else None,
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
            has_commands = self._mode.has_user or self._options.commands
            self._ui.read_lines(handler.handle_line_and_wait if has_commands else handler.send_text_and_wait)
            session.wait_until_delivered()

    def _remember(self, session: Session) -> None:
        """Remember the user and the server for the next run."""
        user = session.user
        server = str(self._addresses)

        def change(settings: Settings) -> Settings:
            return dataclasses.replace(settings, name=user.name, color=user.color, server=server)

        if self._mode.has_user and change(self._settings.settings) != self._settings.settings:
            try:
                self._settings.change(change)
            except SettingsError as error:
                self._tell(str(error))

    def _close(self, code: ExitCode, message: str) -> None:
        """Close the connection and the user interface, and print what the user should know."""
        is_reported = code is not ExitCode.LEFT and self._mode is not Mode.TAIL
        unconfirmed, unsent = self._unconfirmed_and_unsent() if is_reported else ([], [])
        self._ui.stop()  # the socket thread may be waiting for it
        if self._session is not None:
            if self._session.is_signed_in:
                self._remember(self._session)
            self._session.close()
        self._ui.close()
        reason = self._session.reason if self._session is not None else ""
        for text in filter(None, (message, reason, *describe_unsent(unconfirmed, unsent))):
            print_error(text)


def print_error(text: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"{PROGRAM}: {text}\n")


def may_be_stored(line: str) -> bool:
    """Say whether the history file may hold a line that was typed: a room key or a mistyped command may not.

    A mistyped command may have been a /join, or hold a password.
    """
    try:
        command = parse_line(line)
    except ProtocolError:
        return False
    return not (isinstance(command, Join) and command.key)


def describe_unsent(unconfirmed: Sequence[str], unsent: Sequence[str]) -> list[str]:
    """Return texts that say how many lines are not confirmed, and how many were not sent; none for no lines."""
    texts = []
    if unconfirmed:
        count = "1 line is" if len(unconfirmed) == 1 else f"{len(unconfirmed)} lines are"
        texts.append(f"{count} not confirmed, may still appear; the first: {unconfirmed[0]}")
    if unsent:
        count = "1 line was" if len(unsent) == 1 else f"{len(unsent)} lines were"
        texts.append(f"{count} not sent; the first: {unsent[0]}")
    return texts


def no_server(addresses: Addresses, error: OSError) -> str:
    """Return a line that says what is missing; and how to start it, if that is this machine's server."""
    port = "" if addresses[0].port == DEFAULT_PORT else f" --port {addresses[0].port}"
    is_here = all(address.is_loopback for address in addresses)
    advice = f"start one with: python3 chat_server.py{port}" if is_here else "check the host and the port"
    return f"no server at {addresses} ({error.strerror or error}); {advice}"
