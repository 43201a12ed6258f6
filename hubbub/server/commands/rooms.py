"""The commands about rooms: join, leave, list and who."""

from loguru import logger

from hubbub import protocol
from hubbub.protocol import LOBBY, End
from hubbub.server.commands.base import Client, handles


@handles(protocol.Join)
def join(client: Client, command: protocol.Join) -> None:
    """Enter a room, or create it. A room with history has the spelling of its first message."""
    name = protocol.check_room(command.room)
    spelling = client.context.journal.room_name(protocol.fold_name(name))
    _change_room(client, spelling or name, command.key)


@handles(protocol.Leave)
def leave(client: Client, _: protocol.Leave) -> None:
    """Return to the lobby."""
    _change_room(client, LOBBY)


def _change_room(client: Client, room: str, key: str = "") -> None:
    changes = client.context.limits.room_changes_per_minute
    client.count_change(client.room_changes, f"you may change rooms {changes} times a minute")
    room = client.context.room_access.join(client.member, room, key, client.address)
    logger.info("joined {!r} {!r}", client.member.name, room)


@handles(protocol.List)
def list_rooms(client: Client, _: protocol.List) -> None:
    """Send a row for each room, the lobby first."""
    client.reply_in_chunks(client.context.membership.list_rooms(), End("list"))


@handles(protocol.Who)
def list_members(client: Client, command: protocol.Who) -> None:
    """Send a row for each member of a room."""
    room = protocol.check_room(command.room) if command.room else client.room().name
    rows = client.context.membership.list_members(room, client.member)
    client.reply_in_chunks(rows, End("who"))
