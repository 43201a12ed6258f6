"""The commands of one client: each is carried out here, and what he says is gathered for the delivery thread.

carry_out -> the handler of the command, at the end of this file -> answers, or a step of the membership
"""

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from loguru import logger

from hubbub import protocol
from hubbub.protocol import (
    LOBBY,
    Acted,
    Command,
    End,
    Error,
    Event,
    Notice,
    Pong,
    PrivateMessage,
    ProtocolError,
    Said,
    ServerChallenge,
)
from hubbub.server.access.limits import CHANGE_BURST, TokenBucket, enforce_rate_limit
from hubbub.server.access.moderation import check_reason, parse_subnet, reason_suffix
from hubbub.server.access.ownership import verify_client_proof
from hubbub.server.context import ServerContext
from hubbub.server.delivery.actions import DeliverPrivately, Post, RefusePost, Reply
from hubbub.server.delivery.delivery import with_gaps
from hubbub.server.network.admission import Admission
from hubbub.server.rooms.room import Member, Room

HISTORY_BYTES = protocol.HISTORY_LINES_MAX * protocol.LINE_BYTES  # more than any answer to /history has
PIECE_LINES = 100  # of a long answer; the next piece waits until this one was taken
TOKEN_BYTES = 16  # 128 random bits
NONCE_BYTES = 16  # 128 random bits


class EndedError(Exception):
    """The session ends: `why` is one word for the room, `bye` what the client is told, if he is told anything."""

    def __init__(self, why: str, bye: str = "") -> None:
        super().__init__(why, bye)
        self.why = why
        self.bye = bye


class Commands:
    """Carries out the commands of one client. For his session's thread only."""

    __slots__ = (
        "_address",
        "_admission",
        "_context",
        "_member",
        "_name_changes",
        "_nonce",
        "_room_changes",
        "_said",
        "locked_out",
    )

    def __init__(self, context: ServerContext, member: Member, address: str, admission: Admission) -> None:
        self._context = context
        self._member = member
        self._address = address
        self._admission = admission
        rooms, names = context.limits.room_changes_per_minute, context.limits.name_changes_per_minute
        self._room_changes = TokenBucket(rooms / 60, min(rooms, CHANGE_BURST))
        self._name_changes = TokenBucket(names / 60, min(names, CHANGE_BURST))
        self._said: list[Post] = []  # not yet handed to the delivery
        self.locked_out = context.password is not None  # until /pass brings the password
        self._nonce = ""  # of the challenge that waits for a proof

    # ------------------------------------------------------------------------------------------------- answering

    def answer(self, *events: Event) -> None:
        """Send lines for this client alone."""
        self._send(event.encode() for event in events)

    def _send(self, lines: Iterable[bytes]) -> None:
        self._context.delivery.submit(Reply(self._member, b"".join(lines)))

    def _answer_at_length(self, lines: Iterable[bytes]) -> None:
        """Answer in pieces, each when the one before was taken, so that a long answer waits here and not in memory."""
        piece: list[bytes] = []
        for line in lines:
            piece.append(line)
            if len(piece) == PIECE_LINES:
                self._send(piece)
                piece.clear()
                self._context.delivery.flush(self._member)
        self._send(piece)

    def hand_over(self) -> None:
        """Give what was said to the delivery thread; waits while the room has much pending."""
        if self._said:
            said, self._said = self._said, []
            self._context.delivery.submit_posts(said)

    # ------------------------------------------------------------------------------------------------- commands

    def carry_out(self, text: str) -> None:
        """Carry out a line that is not empty. Raises ProtocolError, JournalError, and EndedError at the end."""
        if self.locked_out:
            self._refuse_before_password(text)
        command = protocol.parse_command(text)
        if not self._member.name:
            self._refuse_before_naming(command, text)
        if not isinstance(command, protocol.Ping | protocol.Pong):
            self._member.last_active = time.monotonic()
        if not isinstance(command, _SAYING):
            self.hand_over()  # what was said before comes before
            self._context.delivery.wait_for_space()
        _HANDLERS[type(command)](self, command)

    def _refuse_before_password(self, text: str) -> None:
        if text.split(" ", 1)[0].lower() in _ALLOWED_BEFORE_PASSWORD:
            return
        _refuse_browser(text)
        raise ProtocolError("password-needed", "this server has a password; first say it: /pass PASSWORD")

    def _refuse_before_naming(self, command: Command, text: str) -> None:
        if isinstance(command, _ALLOWED_BEFORE_NAMING):
            return
        _refuse_browser(text)
        raise ProtocolError("name-needed", "first say who you are: /name NAME [COLOR]")

    def _say(self, command: protocol.Say) -> None:
        self.take_saying(Said, [command.text])

    def _me(self, command: protocol.Me) -> None:
        self.take_saying(Acted, [command.text])

    def _post(self, command: protocol.Post) -> None:
        if not command.number:
            raise ProtocolError("argument-invalid", "the N of a post counts from 1")
        try:
            line = _posted(command.line)
            self.take_saying(Said if isinstance(line, protocol.Say) else Acted, [line.text], command.number)
        except ProtocolError as error:
            self.hand_over()
            self._context.delivery.submit(RefusePost(self._member, command.number, error.code, error.text))

    def take_saying(self, kind: type[Said | Acted], texts: list[str], number: int = 0) -> None:
        """Gather what is said, all or nothing of it; with `number` it is a numbered post."""
        member, said = self._member, self._said
        protocol.check_text(max(texts, key=len))
        self._context.moderation.refuse_muted(member.name)
        room = self._room()
        if said and said[-1].is_continued_by(kind, number):
            said[-1].texts += texts
        else:
            said.append(Post(room, kind, member.name, member.color, texts, member if number else None, number))

    def _room(self) -> Room:
        """Return the room of a member who has a name; who came back on another connection is nowhere on this one."""
        room = self._member.room
        if room is None:
            self.heed_farewell()
            raise EndedError("lost")
        return room

    def _pass(self, command: protocol.Pass) -> None:
        if not self.locked_out or self._context.password is None:
            raise ProtocolError("not-allowed", "no password is needed here; go on")
        self._context.password.check(command.password, self._address)
        self.locked_out = False

    def _challenge(self, _: protocol.Challenge) -> None:
        self._refuse_when_named()
        self._nonce = secrets.token_hex(NONCE_BYTES)
        self.answer(ServerChallenge(self._context.ownership.server_id, self._nonce))

    def _prove(self, command: protocol.Prove) -> None:
        self._refuse_when_named()
        nonce, self._nonce = self._nonce, ""
        if not nonce:
            raise ProtocolError("proof-wrong", "there is nothing to prove; ask for a /challenge first")
        if not verify_client_proof(command.verifier, command.proof, nonce, self._context.ownership.server_id):
            raise ProtocolError("proof-wrong", "this does not prove who you are; ask for another /challenge")
        self._member.verifier = command.verifier

    def _refuse_when_named(self) -> None:
        if self._member.name:
            raise ProtocolError("not-allowed", "you are in already; who you are is proven before /name")

    def heed_farewell(self) -> None:
        """End the session of one who was made to leave."""
        if farewell := self._member.farewell:
            self.answer(Error("kicked", farewell))
            raise EndedError("kicked", farewell)

    def use_name(self) -> None:
        """Have the owner of a name keep it; called outside the membership's lock, for it may write."""
        self._context.ownership.record_use(self._member.name, self._member.verifier)
        self._context.ownership.store_changes()

    def _name(self, command: protocol.Name) -> None:
        name = protocol.check_name(command.name)
        color = protocol.check_color(command.color) if command.color else ""
        member, membership = self._member, self._context.membership
        if member.name:
            old = member.name
            self._count_name_change()
            membership.rename(member, name, color or member.color)
            self.use_name()
            logger.info("renamed {!r} to {!r}", old, member.name)
            return
        self._context.moderation.refuse_banned_address(self._address)  # banned since he connected
        token = secrets.token_hex(TOKEN_BYTES)
        membership.sign_in(member, name, color or protocol.default_color(name), token)
        self._context.connection_limiter.mark_named(self._admission)
        self.use_name()
        logger.info("came {} {!r}", self._address, name)

    def _resume(self, command: protocol.Resume) -> None:
        member = self._member
        if member.name:
            raise ProtocolError("not-allowed", "you are in already; /resume comes instead of /name")
        key = protocol.fold_name(protocol.check_room(command.room))
        self._context.moderation.refuse_banned_address(self._address)  # banned since he connected
        before = self._context.presence.resume(member, command.token, key, command.seq)
        self._context.connection_limiter.mark_named(self._admission)
        self.use_name()
        logger.info("came back {} {!r}", self._address, member.name)
        if before is not None:
            before.transport.end_reading()

    def _color(self, command: protocol.Color) -> None:
        color = protocol.check_color(command.color)
        self._count_name_change()
        self._context.membership.rename(self._member, self._member.name, color)

    def _count_name_change(self) -> None:
        changes = self._context.limits.name_changes_per_minute
        enforce_rate_limit(self._name_changes, f"you may change your name or colour {changes} times a minute")

    def _join(self, command: protocol.Join) -> None:
        name = protocol.check_room(command.room)
        spelling = self._context.journal.room_name(protocol.fold_name(name))
        self._enter(spelling or name, command.key)

    def _leave(self, _: protocol.Leave) -> None:
        self._enter(LOBBY)

    def _enter(self, room: str, key: str = "") -> None:
        changes = self._context.limits.room_changes_per_minute
        enforce_rate_limit(self._room_changes, f"you may change rooms {changes} times a minute")
        room = self._context.room_access.join(self._member, room, key, self._address)
        logger.info("joined {!r} {!r}", self._member.name, room)

    def _list(self, _: protocol.List) -> None:
        self._answer_at_length(row.encode() for row in [*self._context.membership.list_rooms(), End("list")])

    def _who(self, command: protocol.Who) -> None:
        room = protocol.check_room(command.room) if command.room else self._room().name
        self._answer_at_length(
            row.encode() for row in [*self._context.membership.list_members(room, self._member), End("who")]
        )

    def _msg(self, command: protocol.Msg) -> None:
        text = protocol.check_text(command.text)
        self._context.moderation.refuse_muted(self._member.name)
        to = self._context.membership.find(protocol.check_name(command.name))
        me = self._member
        data = PrivateMessage(int(time.time() * 1000), me.name, me.color, to.name, text).encode()
        refusal = Error("too-fast", f"{to.name} has much to read just now; try again in a minute").encode()
        told = DeliverPrivately(me, to, data, refusal)
        if not self._context.backend.forward_private(told):
            self._context.delivery.submit(told)

    def _history(self, command: protocol.History) -> None:
        if not 1 <= command.count <= protocol.HISTORY_LINES_MAX:
            raise ProtocolError("argument-invalid", f"COUNT is from 1 to {protocol.HISTORY_LINES_MAX}")
        self._context.delivery.flush(self._member)  # so that what he said just before is in it
        room, journal = self._room(), self._context.journal
        upto = min(command.before - 1, journal.last_seq(room.key)) if command.before else journal.last_seq(room.key)
        after = max(0, upto - command.count)
        pages = journal.read_pages(room.key, after, upto, HISTORY_BYTES)
        lines = b"".join(with_gaps(room.name, pages, after, upto)).splitlines(keepends=True)
        self._answer_at_length([*lines, End("history").encode()])

    # ------------------------------------------------------------------------------------------------- keeping order

    def _kick(self, command: protocol.Kick) -> None:
        name, why = protocol.check_name(command.name), check_reason(command.reason)
        by = self._member.name
        operator = self._is_operator(self._member)

        def check(member: Member) -> None:
            if not operator and not self._made_room_of(member):
                self._refuse_who_is_no_operator()
            self.refuse_operator(member)

        action = f"kicked by {by}{reason_suffix(why)}"
        kicked, room = self._context.membership.expel(name, action, check)
        if not kicked:
            self._refuse_who_is_no_operator()  # who asks without a right to learns nothing
            raise ProtocolError("no-such-person", f"there is nobody called {name}; /who shows who is here")
        logger.info("{!r} kicked {!r}", by, kicked)
        self._confirm(room, f"{kicked} was {action}")

    def _ban(self, command: protocol.Ban) -> None:
        self._refuse_who_is_no_operator()
        seconds, why = protocol.check_duration(command.duration), check_reason(command.reason)
        ban = self._context.moderation.ban(command.target, seconds, self._member.name, why)
        logger.info("{!r} banned {!r} until {}", self._member.name, ban.target, ban.end)
        action, room = str(ban), None
        if parse_subnet(command.target):
            for connection in self._context.list_connections():
                if connection.subnet == ban.target:
                    connection.expel(action)
        else:
            _, room = self._context.membership.expel(ban.target, action)
        self._confirm(room, f"{ban.target} was {action}")

    def _unban(self, command: protocol.Unban) -> None:
        self._refuse_who_is_no_operator()
        whom = self._context.moderation.unban(command.target)
        logger.info("{!r} unbanned {!r}", self._member.name, whom)
        self._confirm(None, f"{whom} was unbanned by {self._member.name}")

    def _bans(self, _: protocol.Bans) -> None:
        self._refuse_who_is_no_operator()
        lines = self._context.moderation.list_restrictions() or ["nobody is banned or muted"]
        self._answer_at_length(event.encode() for event in [*map(Notice, lines), End("bans")])

    def _mute(self, command: protocol.Mute) -> None:
        self._refuse_who_is_no_operator()
        seconds = protocol.check_duration(command.duration)
        mute = self._context.moderation.mute(command.name, seconds, self._member.name)
        logger.info("{!r} muted {!r} until {}", self._member.name, mute.target, mute.end)
        room = self._context.membership.announce(mute.target, str(mute))
        self._confirm(room, f"{mute.target} was {mute}")

    def _unmute(self, command: protocol.Unmute) -> None:
        self._refuse_who_is_no_operator()
        whom = self._context.moderation.unmute(command.name)
        logger.info("{!r} unmuted {!r}", self._member.name, whom)
        action = f"unmuted by {self._member.name}"
        self._confirm(self._context.membership.announce(whom, action), f"{whom} was {action}")

    def _confirm(self, told: Room | None, text: str) -> None:
        """Tell the operator what he did, if he is not in the room that was told."""
        if told is None or told is not self._member.room:
            self.answer(Notice(text))

    def _is_operator(self, member: Member) -> bool:
        proven = self._context.ownership.is_owner(member.name, member.verifier)
        return proven and self._context.moderation.is_operator(member.name)

    def _made_room_of(self, member: Member) -> bool:
        me = self._member
        maker = self._context.room_keys.maker_of(member.room.key) if member.room else ""
        # Himself, and not his name: after an unproven maker has gone, anybody could come to own that.
        return maker == me.verifier and self._context.ownership.is_owner(me.name, me.verifier)

    def refuse_operator(self, member: Member) -> None:
        """Raise ProtocolError `not-allowed` if a member is an operator. Any thread."""
        if self._is_operator(member):
            raise ProtocolError("not-allowed", f"{member.name} is an operator; ask whoever runs the server")

    def _refuse_who_is_no_operator(self) -> None:
        order, name = self._context.moderation, self._member.name
        if self._is_operator(self._member):
            return
        if order.is_operator(name):
            text = f"{name} is an operator, but you have not proven that you are; come with the client that has the key"
        elif order.operators:
            text = f"that is for operators; ask one of them: {', '.join(order.operators)}"
        else:
            text = "that is for operators, and this server has none; whoever runs it names them with --operators"
        raise ProtocolError("not-allowed", text)

    def _help(self, command: protocol.Help) -> None:
        rows = [protocol.find_command(command.command)] if command.command else list(protocol.COMMANDS.values())
        width = max(len(row.usage) for row in rows)
        self.answer(*(Notice(f"{row.usage:<{width}}  {row.help}") for row in rows), End("help"))

    def _ping(self, command: protocol.Ping) -> None:
        self.answer(Pong(command.token))
        self.use_name()

    def _pong(self, _: protocol.Pong) -> None:
        self.use_name()  # that something came is all there is to know

    def _exit(self, _: protocol.Exit) -> None:
        raise EndedError("exit", "see you")


def _refuse_browser(text: str) -> None:
    """End the session of a browser: a web page must not be able to make one chat."""
    if " HTTP/1." in text:
        raise EndedError("kicked", "this is a chat server, not a web server; use chat_client.py or nc")


def _posted(text: str) -> protocol.Say | protocol.Me:
    """Return what a numbered post says. Raises ProtocolError for what cannot be said."""
    line = protocol.parse_command(text)
    if isinstance(line, protocol.Say | protocol.Me):
        return line
    raise ProtocolError("not-allowed", "only text and /me TEXT can be posted")


_SAYING = (protocol.Say, protocol.Me, protocol.Post)  # they gather, and are handed over together
_ALLOWED_BEFORE_PASSWORD = frozenset({"/pass", "/exit"})
_ALLOWED_BEFORE_NAMING = (
    protocol.Pass,
    protocol.Challenge,
    protocol.Prove,
    protocol.Name,
    protocol.Resume,
    protocol.Help,
    protocol.Ping,
    protocol.Pong,
    protocol.Exit,
)
_HANDLERS: dict[type[Command], Callable[[Commands, Any], None]] = {
    protocol.Pass: Commands._pass,
    protocol.Challenge: Commands._challenge,
    protocol.Prove: Commands._prove,
    protocol.Name: Commands._name,
    protocol.Resume: Commands._resume,
    protocol.Color: Commands._color,
    protocol.Say: Commands._say,
    protocol.Me: Commands._me,
    protocol.Post: Commands._post,
    protocol.Join: Commands._join,
    protocol.Leave: Commands._leave,
    protocol.List: Commands._list,
    protocol.Who: Commands._who,
    protocol.Msg: Commands._msg,
    protocol.History: Commands._history,
    protocol.Kick: Commands._kick,
    protocol.Ban: Commands._ban,
    protocol.Unban: Commands._unban,
    protocol.Bans: Commands._bans,
    protocol.Mute: Commands._mute,
    protocol.Unmute: Commands._unmute,
    protocol.Help: Commands._help,
    protocol.Ping: Commands._ping,
    protocol.Pong: Commands._pong,
    protocol.Exit: Commands._exit,
}
