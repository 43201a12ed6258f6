"""The commands of operators: kick, ban, unban, bans, mute, unmute and release. A room's owner may kick there."""

from itertools import chain

from loguru import logger

from hubbub import protocol
from hubbub.protocol import End, Notice, ProtocolError
from hubbub.server.access.moderation import check_reason, parse_subnet, reason_suffix
from hubbub.server.commands.base import Client, handles
from hubbub.server.context import ServerContext
from hubbub.server.rooms.room import Member, Room


@handles(protocol.Kick)
def kick(client: Client, command: protocol.Kick) -> None:
    """Disconnect a member, who may return."""
    name, reason = protocol.check_name(command.name), check_reason(command.reason)
    sender = client.member.name
    operator = is_operator(client.context, client.member)

    def check(member: Member) -> None:
        if not operator and not _owns_room_of(client, member):
            require_operator(client)
        refuse_operator(client.context, member)

    action = f"kicked by {sender}{reason_suffix(reason)}"
    kicked, room = client.context.membership.expel(name, action, check)
    if not kicked:
        require_operator(client)  # users without the right do not learn which names exist
        raise ProtocolError("no-such-person", f"there is no member called {name}; /who shows who is here")
    logger.info("{!r} kicked {!r}", sender, kicked)
    _confirm(client, room, f"{kicked} was {action}")


@handles(protocol.Ban)
def ban(client: Client, command: protocol.Ban) -> None:
    """Ban a name or an address, and disconnect everyone that it applies to."""
    seconds, reason = protocol.check_duration(command.duration), check_reason(command.reason)
    ban = client.context.moderation.ban(command.target, seconds, client.member.name, reason)
    logger.info("{!r} banned {!r} until {}", client.member.name, ban.target, ban.end)
    action, room = str(ban), None
    if parse_subnet(command.target):
        for connection in client.context.list_connections():
            if connection.subnet == ban.target:
                connection.expel(action)
    else:
        _, room = client.context.membership.expel(ban.target, action)
    _confirm(client, room, f"{ban.target} was {action}")


@handles(protocol.Unban)
def unban(client: Client, command: protocol.Unban) -> None:
    """Lift a ban."""
    target = client.context.moderation.unban(command.target)
    logger.info("{!r} unbanned {!r}", client.member.name, target)
    _confirm(client, None, f"{target} was unbanned by {client.member.name}")


@handles(protocol.Bans)
def list_restrictions(client: Client, _: protocol.Bans) -> None:
    """Send a notice for each ban and mute."""
    lines = client.context.moderation.list_restrictions()
    first = next(lines, "there are no bans and no mutes")
    client.reply_in_chunks(map(Notice, chain([first], lines)), End("bans"))


@handles(protocol.Mute)
def mute(client: Client, command: protocol.Mute) -> None:
    """Stop a name from sending."""
    seconds = protocol.check_duration(command.duration)
    mute = client.context.moderation.mute(command.name, seconds, client.member.name)
    logger.info("{!r} muted {!r} until {}", client.member.name, mute.target, mute.end)
    room = client.context.membership.announce(mute.target, str(mute))
    _confirm(client, room, f"{mute.target} was {mute}")


@handles(protocol.Unmute)
def unmute(client: Client, command: protocol.Unmute) -> None:
    """Lift a mute."""
    target = client.context.moderation.unmute(command.name)
    logger.info("{!r} unmuted {!r}", client.member.name, target)
    action = f"unmuted by {client.member.name}"
    _confirm(client, client.context.membership.announce(target, action), f"{target} was {action}")


@handles(protocol.Release)
def release(client: Client, command: protocol.Release) -> None:
    """Take a name from its owner, so that the next user who proves an identity owns it."""
    name = client.context.ownership.release(protocol.check_name(command.name))
    client.context.ownership.store_changes()
    logger.info("{!r} released {!r}", client.member.name, name)
    _confirm(client, None, f"{name} was released by {client.member.name}; the next user who proves it owns it")


def _confirm(client: Client, announced_in: Room | None, text: str) -> None:
    """Send the operator a confirmation, unless they are in the room in which it is announced."""
    if announced_in is None or announced_in is not client.member.room:
        client.reply(Notice(text))


def is_operator(context: ServerContext, member: Member) -> bool:
    """Return whether a member has an operator's name and has proven to own it. Any thread."""
    return context.ownership.is_owner(member.name, member.verifier) and context.moderation.is_operator(member.name)


def refuse_operator(context: ServerContext, member: Member) -> None:
    """Raise ProtocolError `not-allowed` if a member is an operator. Any thread."""
    if is_operator(context, member):
        raise ProtocolError("not-allowed", f"{member.name} is an operator; ask the administrator of the server")


def require_operator(client: Client) -> None:
    """Raise ProtocolError `not-allowed` if the client is not an operator."""
    moderation, name = client.context.moderation, client.member.name
    if is_operator(client.context, client.member):
        return
    if moderation.is_operator(name):
        text = f"{name} is an operator, but you have not proven your identity; use the client that has the secret"
    elif moderation.operators:
        text = f"only operators may do that; ask one of them: {', '.join(moderation.operators)}"
    else:
        text = "only operators may do that, and this server has none; its owner can start it with --operators NAME"
    raise ProtocolError("not-allowed", text)


def _owns_room_of(client: Client, member: Member) -> bool:
    owner = client.context.room_keys.maker_of(member.room.key) if member.room else ""
    # Compare the verifier, not the name: after an owner without a proof leaves, anyone can use the name.
    verifier = client.member.verifier
    return owner == verifier and client.context.ownership.is_owner(client.member.name, verifier)
