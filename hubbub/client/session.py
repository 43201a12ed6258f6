"""One session on a server: what the user sends, what the server sends, and signing in again after a lost connection."""

import math
import threading
import time

from loguru import logger

from hubbub.client.display import Display
from hubbub.client.login import Login, NameRefusedError, PasswordRefusedError, SignInError
from hubbub.client.network.connection import Callbacks, Connection, UselessError
from hubbub.client.network.dialer import Dialer
from hubbub.client.network.identity import Identity
from hubbub.client.network.transport import SocketTransport
from hubbub.client.output.ui import StoppedError, Ui
from hubbub.client.progress_timeout import ProgressTimeout
from hubbub.client.state.backlog import Backlog
from hubbub.client.state.chat_state import ChatState, Effects
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.roster import Member
from hubbub.client.state.status import CONNECTED, NOT_SIGNED_IN, UNSENT_ROWS, Status, reconnecting_in
from hubbub.protocol import (
    Ack,
    Command,
    Entered,
    Error,
    Event,
    Exit,
    Hello,
    Name,
    Notice,
    Pong,
    Refused,
    Renamed,
    RoomRow,
    ServerChallenge,
    Welcome,
    clean,
)

ANSWER_SECONDS = 10.0  # without a byte from the server during the sign-in; it answers in milliseconds
UNSENT_SECONDS = 1.0  # until a line that is not acknowledged is shown as unsent; before that it would only flicker

HINT = "you are {}; /help shows the commands, /exit leaves"
UNKNOWN = "the connection was lost; check whether this was carried out: {}"


class Session:
    """Connects the user interface and the server. The main thread calls what is public, unless it says otherwise."""

    def __init__(
        self,
        transport: SocketTransport,
        dialer: Dialer,
        ui: Ui,
        highlights: Highlights,
        *,
        timeout: float,
        show_past: bool = True,
        look_up_names: bool = False,
        backlog: Backlog | None = None,
        password: str = "",
        identity: Identity | None = None,
    ) -> None:
        """Use `transport`, which `dialer` made. The `password` is sent only to a server that asks for one.

        A pipe waits for `timeout` seconds while the server makes no progress. With an `identity`, the user's identity
        is proven to a server that can verify it. The others are those of ChatState.
        """
        self.display = Display(ui, highlights, self._end)
        self._identity = identity
        callbacks = Callbacks(self._on_event, self._on_lost, self._end, self.display.refuse)
        self._connection = Connection(transport, dialer, callbacks)
        # Guards everything below. The holder may send, which never waits, but not show.
        self._changed = threading.Condition()
        self._login = Login(password, proves_identity=identity is not None)
        self._chat = ChatState(self._connection.send, show_past=show_past, look_up_names=look_up_names, backlog=backlog)
        self._progress = ProgressTimeout(self._changed, timeout)
        self._is_signed_in = False
        self._retry_at = 0.0  # monotonic seconds
        self._refusal: SignInError | None = None  # of the first sign-in
        self._sign_in_notice = ""  # what the server last said during the first sign-in
        self._end_reason: str | None = None  # None until the session ends

    # -------------------------------------------------------------------------------------------------------- state

    @property
    def reason(self) -> str:
        """Why the session ended, if it was not closed here; empty before that, or where no user needs to know."""
        with self._changed:
            return self._end_reason or ""

    @property
    def unsent(self) -> list[str]:
        """The lines that are not known to be carried out, in order."""
        with self._changed:
            return [line for line, _ in self._chat.outbox.unsent_lines()]

    @property
    def unconfirmed_and_unsent(self) -> tuple[list[str], list[str]]:
        """The lines that are not known to be carried out: those that were sent, and those that were not."""
        with self._changed:
            unconfirmed = self._chat.outbox.unconfirmed_lines()
            lines = [line for line, _ in self._chat.outbox.unsent_lines()]
            return unconfirmed, lines[len(unconfirmed) :]  # they are sent in order

    @property
    def user(self) -> Name:
        """The user's name and colour."""
        with self._changed:
            return self._login.user

    @property
    def room(self) -> str:
        """The room to which a line typed now will be sent."""
        with self._changed:
            return self._chat.outbox.room

    @property
    def is_signed_in(self) -> bool:
        """Whether the connection is up and the user signed in."""
        with self._changed:
            return self._is_signed_in

    def status(self) -> Status:
        """Return what the status line shows now. Any thread may call it."""
        now = time.monotonic()
        with self._changed:
            outbox = self._chat.outbox
            before = now - UNSENT_SECONDS if self._is_signed_in else math.inf
            lines = [line for line, typed_at in outbox.unsent_lines() if typed_at <= before]
            people = self._chat.room_view.people if self._is_signed_in else None
            delay = outbox.delay if self._is_signed_in else 0.0
            connection = self._connection_state(now)
            return Status(outbox.room, people, connection, tuple(lines[:UNSENT_ROWS]), len(lines), delay)

    def _connection_state(self, now: float) -> str:
        if self._is_signed_in:
            return CONNECTED
        return NOT_SIGNED_IN if self._login.needs_name else reconnecting_in(math.ceil(self._retry_at - now))

    def members(self) -> tuple[Member, ...]:
        """Return the other members of the room as far as they are known, the last speaker first."""
        with self._changed:
            return self._chat.roster.others(self._chat.me)

    def rooms(self) -> tuple[RoomRow, ...]:
        """Return the rooms as far as they are known, and ask the server for a newer list if this one is old."""
        with self._changed:
            if self._is_signed_in:
                self._chat.look_up_rooms(time.monotonic())
            return self._chat.roster.rooms()

    # ------------------------------------------------------------------------------------------- what the user does

    def sign_in(self, user: Name, room: str = "") -> None:
        """Start the connection, sign in as `user`, and go on to `room`. Called once.

        Raises NameRefusedError, PasswordRefusedError, SignInError, and StoppedError when the connection ends.
        """
        with self._changed:
            self._login.rename(user.name, user.color)
            if room:
                self._chat.outbox.set_first_room(room)
        self._connection.start()
        with self._changed:
            is_silent = not self._wait_for_room()
        if is_silent:
            self._end(self._why_too_long())
        with self._changed:
            if self._refusal is not None:
                raise self._refusal
            if not self._chat.room_view.room:
                raise StoppedError
        logger.info("signed in as {!r}", user.name)

    def _wait_for_room(self) -> bool:
        """Wait until the sign-in has succeeded or failed; return False when the server is silent. The lock is held."""
        while (self._progress.is_busy or not self._chat.room_view.room) and not (self._refusal or self._has_ended()):
            left = ANSWER_SECONDS - self._progress.silence()
            if left <= 0:
                return False
            self._changed.wait(left)
        return True

    def _why_too_long(self) -> str:
        """Return why the sign-in takes too long, as the server said last, if it did."""
        with self._changed:
            if self._sign_in_notice:
                return f"not signed in after {ANSWER_SECONDS:.0f} s: {self._sign_in_notice}; try again later"
        return f"the server did not answer within {ANSWER_SECONDS:.0f} s; try again later"

    def submit(self, *commands: Command) -> None:
        """Send commands when their turn comes. Raises FullError, and then sends none of them."""
        with self._changed:
            if isinstance(commands[0], Name) and self._login.needs_name:
                for command in self._login.choose_name(commands[0]):
                    self._connection.send(command)
            else:
                self._chat.outbox.add(*commands)
                self._chat.send_ready()
        self.display.ui.refresh()

    def wait_for_acknowledgements(self, seconds: float) -> int:
        """Wait at most `seconds` for those that are on their way; return how many lines are still unsent."""
        with self._changed:
            self._changed.wait_for(lambda: self._chat.outbox.is_empty or not self._is_signed_in, seconds)
            return len(self._chat.outbox)

    def wait_for_space(self) -> None:
        """Wait until the outbox accepts another line. Raises NotSentError, and StoppedError."""
        self._progress.wait_for(
            lambda: not self._chat.outbox.is_full, self._has_ended, "the rest of the input was not read"
        )

    def wait_until_delivered(self) -> None:
        """Wait until the server has carried out every line, and its answers are shown.

        Raises NotSentError, and StoppedError.
        """
        with self._changed:
            self._chat.outbox.add_end()
            self._chat.send_ready()
        self._progress.wait_for(lambda: self._chat.outbox.is_empty, self._has_ended, "everything was read")

    def close(self) -> None:
        """Leave, and close the connection. Called once, after a user interface that blocks has been stopped."""
        self._connection.close(last=Exit())

    # --------------------------------------------------------------------------------------------- the socket thread

    def _on_event(self, event: Event) -> None:
        with self._progress.handle_event():
            with self._changed:
                is_signed_in, me = self._is_signed_in, self._chat.me
            if is_signed_in:
                self._handle_event(event, me)
            else:
                self._handle_sign_in(event, is_first=not me)

    def _handle_event(self, event: Event, me: str) -> None:
        if isinstance(event, Error) and event.code == "kicked":  # whether to come back is the user's decision
            self._end(clean(event.text))
            return
        with self._changed:
            effects = self._chat.receive(event)
            if isinstance(event, Renamed) and event.old == me:
                self._login.rename(event.new, event.color)
            is_progress = isinstance(event, Ack | Pong | Refused | Entered)
            if is_progress:
                self._progress.record()
        if is_progress:
            self.display.ui.refresh()
        self._show(effects, me)

    def _show(self, effects: Effects, me: str) -> None:
        """Show to the user called `me` what an event led to."""
        for event, age in effects.shown:
            self.display.show_event(event, age, me)
        for text in effects.refusals:
            self.display.refuse(text)

    def _handle_sign_in(self, event: Event, *, is_first: bool) -> None:
        match event:
            case Error("proof-wrong"):  # the server may accept the name all the same
                self.display.show_event(event)
            case Hello() | ServerChallenge() | Error():
                self._continue_login(event, is_first=is_first)
            case Welcome():
                self._continue_login(event, is_first=is_first)
                if self._login.was_welcomed:
                    self._welcome(event, is_first=is_first)
            case _ if is_first:
                if isinstance(event, Notice):
                    with self._changed:
                        self._sign_in_notice = clean(event.text)
                self.display.show_event(event)

    def _continue_login(self, event: Event, *, is_first: bool) -> None:
        """Answer the server. Raises UselessError when another attempt may succeed later."""
        proof = None
        if isinstance(event, ServerChallenge) and self._login.awaits_challenge and self._identity is not None:
            proof = self._identity.prove(event)  # reads files, so not under the lock
        try:
            with self._changed:
                for command in self._login.receive(event, proof):
                    self._connection.send(command)
        except SignInError as error:
            self._handle_refusal(error, is_first=is_first)

    def _handle_refusal(self, error: SignInError, *, is_first: bool) -> None:
        if is_first:  # `sign_in` raises it
            with self._changed:
                self._refusal = self._refusal or error
        elif isinstance(error, PasswordRefusedError):  # it has changed
            self._end(str(error))
        elif not isinstance(error, NameRefusedError):
            raise UselessError(str(error)) from error
        elif self.display.ui.is_interactive:
            self.display.refuse(f"{error}; {NOT_SIGNED_IN}")
        else:
            self._end(str(error))
        self.display.ui.refresh()

    def _welcome(self, event: Welcome, *, is_first: bool) -> None:
        self._connection.note_good()
        with self._changed:
            self._chat.welcome(event, resumed=self._login.is_resuming)
            self._is_signed_in = True
        self.display.ui.refresh()
        if not is_first:
            logger.info("signed in again as {!r}", event.name)
        elif self.display.ui.is_interactive:
            self.display.tell(HINT.format(event.name))

    def _on_lost(self, reason: str, seconds: float) -> None:
        with self._changed:
            is_first = not self._chat.me
            self._is_signed_in = False
            self._retry_at = time.monotonic() + seconds
            self._login.restart(self._chat.room_view.room, self._chat.room_view.seq)
            unknown = self._chat.lose_connection()
            self._changed.notify_all()
        if is_first:
            self._end(reason)
        if unknown:
            self.display.refuse(UNKNOWN.format(unknown))
        self.display.ui.refresh()

    # ---------------------------------------------------------------------------------------------------- any thread

    def _end(self, reason: str) -> None:
        """End what the main thread does, and store the first reason."""
        with self._changed:
            if self._end_reason is None:
                self._end_reason = reason
            self._changed.notify_all()
        self.display.ui.stop()

    def _has_ended(self) -> bool:
        return self._end_reason is not None
