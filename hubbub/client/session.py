"""One stay in the chat: getting in, what goes out, what arrives, and getting in again after a loss."""

import math
import queue
import threading
import time
from collections.abc import Callable

from loguru import logger

from hubbub.client.login import NAME_REFUSALS, PASSWORD_REFUSALS, Login
from hubbub.client.network.connection import Connection, UselessError
from hubbub.client.network.dialer import Dialer
from hubbub.client.network.identity import Identity
from hubbub.client.network.transport import SocketTransport
from hubbub.client.output.ui import StoppedError, Ui
from hubbub.client.state.backlog import Backlog
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.notification import Age, Notification
from hubbub.client.state.outbox import Outbox
from hubbub.client.state.room_view import RoomView
from hubbub.client.state.roster import Member, Roster
from hubbub.client.state.status import CONNECTED, NOT_SIGNED_IN, UNSENT_ROWS, Status, reconnecting_in
from hubbub.protocol import (
    PRESENCE_PEOPLE,
    VERSION,
    Ack,
    Acted,
    Challenge,
    Challenged,
    Command,
    Entered,
    Error,
    Event,
    Exit,
    Gap,
    Hello,
    History,
    Join,
    Leave,
    List,
    Name,
    Notice,
    Pass,
    PersonRow,
    Pong,
    Proven,
    Refused,
    Renamed,
    Resume,
    RoomRow,
    Said,
    Welcome,
    Who,
    clean,
    same_key,
)

ANSWER_SECONDS = 10.0  # without a word from the server while we get in; it answers in milliseconds
UNSENT_SECONDS = 1.0  # until a line that is not acknowledged is shown as unsent; before that it would only flicker
ROOMS_SECONDS = 10.0  # for which a list of rooms is good enough to complete their names

NO_CHALLENGE = frozenset({"unknown-command", "name-needed"})  # from a server that has none: an older one

HINT = "you are {}; /help shows the commands, /exit leaves"
UNKNOWN = "the connection was lost, and nobody knows whether this was carried out: {}"
NO_WAY = "not said, for you are not in its room: {}"
ASKED = "the server asks for a password; give it with --password-file FILE or in CHAT_PASSWORD"
HOLE = "lines {} to {} of this room did not come; /history shows what is kept of them"
REFUSED = "{}; not said: {}"


class SignInError(Exception):
    """There is no getting in; the text says why."""


class NameRefusedError(SignInError):
    """There is no getting in under this name; the text says why."""


class PasswordRefusedError(SignInError):
    """There is no getting in with this password, or with none; the text says why."""


class NotSentError(Exception):
    """The server got on with nothing of what is to be sent, for too long; the text says more."""


class Session:
    """Stands between the console and the connection. The main thread calls what is public, unless it says otherwise."""

    def __init__(
        self,
        transport: SocketTransport,
        dialer: Dialer,
        console: Ui,
        highlights: Highlights,
        *,
        timeout: float,
        past: bool = True,
        curious: bool = False,
        replay: Backlog | None = None,
        password: str = "",
        identity: Identity | None = None,
    ) -> None:
        """Use `transport`, which `dialer` made. Where the server asks for a password, this one is sent.

        A pipe waits for `timeout` seconds while the server does not get on. With `past`, what was said in a room before
        we came is shown; if `curious`, the server is asked who and what there is, to complete names. With a `replay`,
        what it wants is shown first. With an `identity` we prove who we are, if the server wants to know.
        """
        self._ui = console
        self._identity = identity
        self._highlights = highlights
        self._timeout = timeout
        self._password = password
        self._past = past
        self._curious = curious
        self._connection = Connection(transport, dialer, self._on_event, self._on_lost, self._on_end, self.refuse)
        self._replies: queue.SimpleQueue[Hello | Challenged | Entered | Error | None] = queue.SimpleQueue()
        # Guards everything below. Whoever holds it may send, which never waits, but not show.
        self._changed = threading.Condition()
        self._outbox = Outbox()
        self._door = Login()
        self._place = RoomView()
        self._roster = Roster()
        self._replay = replay
        self._me = ""
        self._heading: Entered | None = None  # of the room in which the server has us
        self._inside = False
        self._asked_to_prove = False  # after a loss, and the answer has not come
        self._back = False  # in again after a loss, but not yet in a room
        self._rooms_at = -math.inf  # monotonic seconds: when we last asked for the rooms
        self._retry_at = 0.0  # monotonic seconds
        self._heard_at: float | None = time.monotonic()  # monotonic seconds; None while an event is being shown
        self._moved_at = 0.0  # monotonic seconds: when the server last got on, or could for our sake
        self._refused_lines = 0
        self._ended = False
        self._reason = ""

    def start(self) -> None:
        """Start the connection. Called once."""
        self._connection.start()

    @property
    def reason(self) -> str:
        """Why the stay ended without our leaving; empty while it did not, or if nobody needs to be told."""
        with self._changed:
            return self._reason

    @property
    def unsent(self) -> list[str]:
        """The lines that are not known to be carried out, in order."""
        with self._changed:
            return [line for line, _ in self._outbox.typed()]

    @property
    def refused_lines(self) -> int:
        """How many lines were refused, by the server or here."""
        with self._changed:
            return self._refused_lines

    @property
    def who(self) -> Name:
        """Who we are to the server, and in which colour."""
        with self._changed:
            return self._door.who

    @property
    def room(self) -> str:
        """The room in which a line that is typed now will be said."""
        with self._changed:
            return self._outbox.room

    @property
    def inside(self) -> bool:
        """Whether we are connected and signed in."""
        with self._changed:
            return self._inside

    def status(self) -> Status:
        """Return what the person should know now. Any thread may call it."""
        now = time.monotonic()
        with self._changed:
            before = now - UNSENT_SECONDS if self._inside else math.inf
            lines = [line for line, typed_at in self._outbox.typed() if typed_at <= before]
            people = self._place.people if self._inside else None
            delay = self._outbox.delay if self._inside else 0.0
            return Status(self._outbox.room, people, self._link(now), tuple(lines[:UNSENT_ROWS]), len(lines), delay)

    def people(self) -> tuple[Member, ...]:
        """Return the others in the room as far as we know, those who spoke last first."""
        with self._changed:
            return self._roster.others(self._me)

    def rooms(self) -> tuple[RoomRow, ...]:
        """Return the rooms as far as we know, and see to it that we know better soon."""
        with self._changed:
            if self._inside and self._curious and time.monotonic() >= self._rooms_at + ROOMS_SECONDS:
                self._rooms_at = time.monotonic()
                self._outbox.wonder(List())
                self._send_ready()
            return self._roster.rooms()

    def sign_in(self, who: Name, room: str = "") -> None:
        """Get in as `who`, and go to `room` at once. Called once.

        Raises NameRefusedError, PasswordRefusedError, SignInError, and StoppedError when the server goes.
        """
        if room:
            with self._changed:
                self._outbox.add(Join(room))
        self._greet()
        refusal = self._prove() or self._request(who)
        if refusal is not None:
            raise _refusal_of(refusal.code)(clean(refusal.text))
        logger.info("signed in as {!r}", who.name)

    def put(self, *commands: Command) -> None:
        """Send commands when their turn comes. Raises FullError, and then sends none of them."""
        with self._changed:
            if isinstance(commands[0], Name) and self._door.nameless:
                self._door.choose(commands[0])
                if not self._asked_to_prove:
                    self._connection.send(self._knock())
            else:
                self._outbox.add(*commands)
                self._send_ready()
        self._ui.refresh()

    def tell(self, text: str) -> None:
        """Show something of our own. Any thread may call it."""
        self._show(Notice(text))

    def refuse(self, text: str) -> None:
        """Show why a line is not carried out. Any thread may call it."""
        with self._changed:
            self._refused_lines += 1
        self._show(Error("refused", text))

    def show(self, notification: Notification) -> None:
        """Show news on the console. Any thread may call it."""
        try:
            self._ui.show(notification)
        except BrokenPipeError:  # whoever reads has had enough, as `head` has: that is no news to anybody
            self._on_end("")
        except OSError as error:
            self._on_end(f"nothing more can be shown: {error.strerror}")

    def settle(self, seconds: float) -> int:
        """Wait for acknowledgements that are on their way; return how many lines are still not sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._outbox.empty or not self._inside, seconds)
            return len(self._outbox)

    def wait_for_space(self) -> None:
        """Return when another line can be taken. Raises NotSentError, and StoppedError."""
        self._wait_for(lambda: not self._outbox.full, "the rest of the input was not read")

    def wait_until_delivered(self) -> None:
        """Return when the server has carried out every line, and what it answered is shown.

        Raises NotSentError, and StoppedError.
        """
        with self._changed:
            self._outbox.add_end()
            self._send_ready()
        self._wait_for(lambda: self._outbox.empty, "everything was read")

    def close(self) -> None:
        """Leave, and end the connection. Called once. A console that makes us wait must have been stopped."""
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
        if hello.asks_password and not self._password:
            raise PasswordRefusedError(ASKED)
        self._show_password(hello)

    def _show_password(self, hello: Hello) -> None:
        """Send the password if the server asks for it; it goes to nobody else."""
        if hello.asks_password and self._password:
            self._connection.send(Pass(self._password))

    def _prove(self) -> Error | None:
        """Prove who we are, if the server wants to know; return a refusal that has nothing to do with it."""
        if self._identity is None:
            return None
        self._connection.send(Challenge())
        reply = self._reply()
        while not isinstance(reply, Challenged | Error):
            reply = self._reply()
        if isinstance(reply, Challenged):
            self._answer_challenge(self._identity, reply)
        return reply if isinstance(reply, Error) and reply.code not in NO_CHALLENGE else None

    def _answer_challenge(self, identity: Identity, challenge: Challenged) -> None:
        proof = identity.prove(challenge)
        if proof is not None:
            self._connection.send(proof)

    def _request(self, who: Name) -> Error | None:
        """Ask to be let in; return the refusal, or None once we are in a room."""
        self._connection.send(who)
        reply = self._reply()
        while not isinstance(reply, Entered | Error):
            reply = self._reply()
        return reply if isinstance(reply, Error) else None

    def _reply(self) -> Hello | Challenged | Entered | Error:
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

    # ------------------------------------------------------------------------------------------------------- waiting

    def _wait_for(self, done: Callable[[], bool], reading: str) -> None:
        """Wait until `done`, which is asked under the lock; `reading` tells how far the input was read.

        Raises StoppedError and NotSentError.
        """
        with self._changed:
            self._moved_at = time.monotonic()
            while not done():
                left = self._moved_at + self._timeout - time.monotonic()
                if self._ended:
                    raise StoppedError
                if left <= 0 and self._heard_at is not None:
                    raise NotSentError(f"the server took nothing for {self._timeout:g} s; {reading}")
                self._changed.wait(left if left > 0 else None)  # until the event is shown

    # ---------------------------------------------------------------------------------------------- the socket thread

    def _on_event(self, event: Event) -> None:
        started = time.monotonic()
        with self._changed:
            self._heard_at = None
            inside, known = self._inside, bool(self._me)
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
            case Error("proof-wrong"):
                self._show(event)
            case Hello() | Challenged() | Error():
                self._replies.put(event)
            case Welcome():
                self._welcome(event)
                if self._ui.is_interactive:
                    self.tell(HINT.format(event.name))
            case _:
                self._show(event)

    def _get_in_again(self, event: Event) -> None:
        match event:
            case Hello():
                if event.version != VERSION:
                    raise UselessError(_other_version(event))
                self._show_password(event)
                self._prove_again()
            case Challenged() if self._identity is not None:
                self._answer_challenge(self._identity, event)
                self._knock_after_challenge()
            case Error(code) if code in NO_CHALLENGE and self._asked_to_prove:
                self._knock_after_challenge()
            case Error("proof-wrong"):
                self._show(event)
            case Error():
                self._find_way(event)
            case Welcome():
                with self._changed:
                    self._back = True
                self._welcome(event)
                logger.info("signed in again as {!r}", event.name)

    def _prove_again(self) -> None:
        """Ask for a challenge, and knock when it has come; without an identity, knock."""
        with self._changed:
            self._asked_to_prove = self._identity is not None
            self._connection.send(Challenge() if self._asked_to_prove else self._knock())

    def _knock_after_challenge(self) -> None:
        with self._changed:
            self._asked_to_prove = False
            self._connection.send(self._knock())

    def _find_way(self, refusal: Error) -> None:
        """Knock in another way, or leave that to the person. Raises UselessError where it is a question of time."""
        if refusal.code in PASSWORD_REFUSALS:  # it has changed, and who is asked in the middle of a line?
            self._on_end(clean(refusal.text))
            return
        with self._changed:
            first_refusal = self._door.refuse(refusal)
            nameless = self._door.nameless
            if not nameless:
                self._connection.send(self._knock())
        if first_refusal and self._ui.is_interactive:
            self.refuse(f"{refusal.text}; {NOT_SIGNED_IN}")
        elif first_refusal:
            self._on_end(clean(refusal.text))
        self._ui.refresh()

    def _welcome(self, event: Welcome) -> None:
        self._connection.settled()
        with self._changed:
            if self._door.resumed:
                self._outbox.resumed(event.accepted)
            else:
                self._outbox.renewed()
            self._door.welcome(event)
            self._me = event.name
            self._inside = True
        self._ui.refresh()

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
            case Error(code="kicked"):  # to come back by ourselves is not for us to decide
                self._on_end(clean(event.text))
            case _:
                self._happened(event)

    def _happened(self, event: Event) -> None:
        """Note something that happened in a room, or a row of an answer, and show it if it is for the person."""
        with self._changed:
            asked, wondered = self._outbox.asked, self._outbox.wondered
            self._roster.update(event)
            hole = self._place.hole(event)
            age = self._place.age(event, old=isinstance(asked, History))
            me = self._me
            unwanted = age is Age.PAST and not self._past and not isinstance(asked, History)
            replaying = self._replay is not None and not self._replay.done
        if hole:
            logger.warning("lines {} to {} of {!r} did not come", hole[0], hole[-1], self.room)
            self.tell(HOLE.format(hole[0], hole[-1]))
        if replaying and isinstance(event, Said | Acted | Gap):
            self._go_on_replaying(lambda replay: replay.take(event))
        elif replaying and isinstance(event, Error) and isinstance(wondered, History):
            self._go_on_replaying(Backlog.refused)
        elif age is not None and not unwanted and not _answers(event, wondered):
            self._show(event, age)
        if isinstance(event, Renamed) and event.old == me:  # only now, for it is shown to who we were
            self._rename(event)

    def _begin_replay(self, event: Entered) -> None:
        if self._replay is not None:
            with self._changed:
                self._replay.begin(event)
            self._go_on_replaying(lambda _: [])

    def _go_on_replaying(self, step: Callable[[Backlog], list[Event]]) -> None:
        """Show what the replay has to show after `step`, and ask for what it needs next."""
        with self._changed:
            if self._replay is None:
                return
            events = step(self._replay)
            command = self._replay.next_command()
            if command is not None:
                self._outbox.wonder(command)
                self._send_ready()
            end = self._heading.seq if self._heading is not None else 0
        for event in events:
            self._show(event, Age.LIVE if isinstance(event, Said | Acted) and event.seq > end else Age.PAST)

    def _answered(self, event: Pong) -> None:
        with self._changed:
            wondered = self._outbox.wondered
            lines = self._outbox.answered(event.token)
            self._send_ready()
            self._get_on()
            heading = self._arrived()
        if isinstance(wondered, History):
            self._go_on_replaying(Backlog.answered)
        if heading is not None:
            self._show(heading)
        for line in lines:
            self.refuse(NO_WAY.format(line))

    def _arrived(self) -> Entered | None:
        """Return the heading of a room in which we stay, though we were only to pass through it."""
        if self._heading is None or same_key(self._outbox.next_room) != same_key(self._place.room):
            return None
        return self._heading if self._place.begin(passing=False) else None

    def _refused(self, event: Refused) -> None:
        with self._changed:
            line = self._outbox.refuse(event.number)
            self._get_on()
        if line:
            self.refuse(REFUSED.format(event.text, line))

    def _entered(self, event: Entered) -> None:
        with self._changed:
            back, self._back = self._back, False
            first = not self._place.room
            asked = isinstance(self._outbox.asked, Join | Leave)
            self._heading = event
            self._place.enter(event, back=back, resumed=back and self._door.resumed)
            self._roster.enter(event.room)
            self._outbox.entered(event.room)
            passing = (back or first) and same_key(self._outbox.next_room) != same_key(event.room)
            heading = self._place.begin(passing=passing) or (asked and not passing)
            if self._curious and not passing and 1 < event.people <= PRESENCE_PEOPLE:
                self._outbox.wonder(Who())
            self._send_ready()
            self._get_on()
        if heading:
            self._show(event)
        if not passing:
            self._begin_replay(event)
        if first:
            self._replies.put(event)
        self._ui.refresh()

    def _rename(self, event: Renamed) -> None:
        """Keep in mind who we are."""
        with self._changed:
            self._door.rename(event.new, event.color)
            self._me = event.new

    def _on_lost(self, reason: str, seconds: float) -> None:
        with self._changed:
            known = bool(self._me)
            self._inside = self._asked_to_prove = False
            self._retry_at = time.monotonic() + seconds
            unknown = self._outbox.lost()
            if self._replay is not None:
                self._replay.lost()
            self._changed.notify_all()
        if not known:
            self._on_end(reason)
        if unknown:
            self.refuse(UNKNOWN.format(unknown))
        self._ui.refresh()

    def _on_end(self, reason: str) -> None:
        """End whatever the main thread does, and keep the first reason. Any thread may call it."""
        with self._changed:
            self._reason = reason if not self._ended else self._reason
            self._ended = True
            self._changed.notify_all()
        self._replies.put(None)
        self._ui.stop()

    # ------------------------------------------------------------------------------------- any thread, under the lock

    def _link(self, now: float) -> str:
        if self._inside:
            return CONNECTED
        return NOT_SIGNED_IN if self._door.nameless else reconnecting_in(math.ceil(self._retry_at - now))

    def _knock(self) -> Resume | Name:
        return self._door.knock(self._place.room, self._place.seq)

    def _send_ready(self) -> None:
        for command in self._outbox.ready():
            self._connection.send(command)

    def _get_on(self) -> None:
        """Note that the server carried out something."""
        self._moved_at = time.monotonic()
        self._ui.refresh()

    # ---------------------------------------------------------------------------------- any thread, without the lock

    def _show(self, event: Event, age: Age = Age.LIVE) -> None:
        with self._changed:
            me = self._me
        notification = self._highlights.classify(event, me, age)
        if notification is not None:
            self.show(notification)


def _refusal_of(code: str) -> type[SignInError]:
    if code in NAME_REFUSALS:
        return NameRefusedError
    return PasswordRefusedError if code in {*PASSWORD_REFUSALS, "too-fast"} else SignInError


def _answers(event: Event, question: Command | None) -> bool:
    """Say whether `event` belongs to the answer to a question of our own."""
    return question is not None and isinstance(event, PersonRow | Proven | RoomRow | Error)


def _other_version(hello: Hello) -> str:
    return f"the server speaks version {hello.version} of the protocol, and this client {VERSION}"
