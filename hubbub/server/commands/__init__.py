"""The commands at the server: `execute` checks the guards in a command's row and calls its handler.

The rows are in hubbub/protocol/commands.py. A handler has the decorator `@handles(Command)` and is in
    sign_in.py      pass, challenge, prove, name, resume, color
    chat.py         text, me, post, msg, history, help, ping, pong, exit
    rooms.py        join, leave, list, who
    moderation.py   kick, ban, unban, bans, mute, unmute, release
"""

import time

from hubbub import protocol
from hubbub.protocol import ROWS, CommandRow, ProtocolError
from hubbub.server.commands import chat, rooms, sign_in  # noqa: F401  # importing registers their handlers
from hubbub.server.commands.base import HANDLERS, Client, SessionEndedError
from hubbub.server.commands.moderation import refuse_operator, require_operator

__all__ = ["Client", "SessionEndedError", "execute", "refuse_operator"]


def execute(client: Client, line: str) -> None:
    """Execute a line that is not empty. Raises ProtocolError, JournalError, and SessionEndedError at the end."""
    if client.needs_password:
        _check_before_password(line)
    command = protocol.parse_command(line)
    row = ROWS[type(command)]
    if not client.member.name:
        _check_before_name(row, line)
    if not isinstance(command, protocol.Ping | protocol.Pong):
        client.member.last_active = time.monotonic()
    if not row.sends_text:
        client.submit_posts()  # the lines before this one go first
        client.context.delivery.wait_for_space()
    if row.operators_only:
        require_operator(client)
    if not row.sends_text and row.layout.text_of(command):  # `add_post` asks for the others, once for many lines
        client.refuse_muted()
    HANDLERS[type(command)](client, command)


def _check_before_password(line: str) -> None:
    row = protocol.get_command(line.split(" ", 1)[0]) if line.startswith("/") else None
    if row is None or not row.before_password:
        _refuse_browser(line)
        raise ProtocolError("password-needed", "this server has a password; first type /pass PASSWORD")


def _check_before_name(row: CommandRow, line: str) -> None:
    if not row.before_name:
        _refuse_browser(line)
        raise ProtocolError("name-needed", "first choose a name: /name NAME [COLOR]")


def _refuse_browser(line: str) -> None:
    """End the session of a web browser, so that no web page can make a browser send chat lines."""
    if " HTTP/1." in line:
        raise SessionEndedError("kicked", "this is a chat server, not a web server; use chat_client.py or nc")
