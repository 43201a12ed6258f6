"""The commands of a conversation: text, actions, private messages, history, help, pings and the exit."""

import time

from hubbub import protocol
from hubbub.protocol import (
    COMMANDS,
    HISTORY_LINES_MAX,
    Acted,
    End,
    Error,
    Notice,
    Pong,
    PrivateMessage,
    ProtocolError,
    Said,
)
from hubbub.server.access.limits import HISTORY_LINES_PER_TOKEN, REFUSAL_COST
from hubbub.server.commands.base import Client, SessionEndedError, handles
from hubbub.server.commands.moderation import is_operator
from hubbub.server.delivery.actions import DeliverPrivately, RefusePost, SendHistory
from hubbub.server.delivery.batch_writer import accepted_number

POST_JUMP = 1_000_000  # at most from one N of a post to the next: all smaller N count as stored
USAGE_COLUMNS = 25  # of /help; with `/notice ` before it, a row fits 80 columns


@handles(protocol.Say)
def say(client: Client, command: protocol.Say) -> None:
    """Send a message to the room."""
    client.add_post(Said, [command.text])


@handles(protocol.Me)
def act(client: Client, command: protocol.Me) -> None:
    """Send an action to the room."""
    client.add_post(Acted, [command.text])


@handles(protocol.Post)
def post(client: Client, command: protocol.Post) -> None:
    """Send a numbered message or action to the room. A refused post uses up its number, unless that is wrong."""
    _check_post_number(client, command.number)
    try:
        line = _parse_post(command.line)
        client.add_post(Said if isinstance(line, protocol.Say) else Acted, [line.text], command.number)
    except ProtocolError as error:
        client.bucket.charge(REFUSAL_COST)
        client.submit_posts()
        client.context.delivery.submit(RefusePost(client.member, command.number, error.code, error.text))


def _check_post_number(client: Client, number: int) -> None:
    """Raise ProtocolError `argument-invalid` for post 0, and for a number after which no other could follow."""
    last = max(client.last_post, accepted_number(client.member))
    if not 1 <= number <= last + POST_JUMP:
        raise ProtocolError("argument-invalid", f"the N of a post counts from 1; the next one is {last + 1}")
    client.last_post = max(last, number)


def _parse_post(text: str) -> protocol.Say | protocol.Me:
    line = protocol.parse_command(text)
    if isinstance(line, protocol.Say | protocol.Me):
        return line
    raise ProtocolError("not-allowed", "only text and /me TEXT can be posted")


@handles(protocol.Msg)
def send_private_message(client: Client, command: protocol.Msg) -> None:
    """Send a private message, with a copy to the sender."""
    text = protocol.check_text(command.text)
    sender = client.member
    recipient = client.context.membership.find(protocol.check_name(command.name))
    message = PrivateMessage(int(time.time() * 1000), sender.name, sender.color, recipient.name, text)
    refusal = Error("too-fast", f"{recipient.name} has many lines to read; try again in a minute")
    delivery = DeliverPrivately(sender, recipient, message.encode(), refusal.encode())
    if not client.context.backend.forward_private(delivery):
        client.context.delivery.submit(delivery)


@handles(protocol.History)
def send_history(client: Client, command: protocol.History) -> None:
    """Send stored lines of the room."""
    if not 1 <= command.count <= HISTORY_LINES_MAX:
        raise ProtocolError("argument-invalid", f"COUNT is from 1 to {HISTORY_LINES_MAX}")
    client.bucket.charge(command.count / HISTORY_LINES_PER_TOKEN)
    client.context.delivery.submit(SendHistory(client.member, client.room(), command.count, command.before))
    client.context.delivery.flush(client.member)  # before the next command, so that one reply at most waits


@handles(protocol.Help)
def send_help(client: Client, command: protocol.Help) -> None:
    """Explain one command, or list those that the client may type."""
    if command.command:
        lines = protocol.find_command(command.command).explain()
    else:
        operator = bool(client.member.name) and is_operator(client.context, client.member)
        rows = [row for row in COMMANDS.values() if not row.for_programs and (operator or not row.operators_only)]
        lines = [f"{row.usage:<{USAGE_COLUMNS}}  {row.help}" for row in rows]
        lines.append("/help COMMAND explains one command; any other line is sent to your room")
    client.reply(*map(Notice, lines), End("help"))


@handles(protocol.Ping)
def answer_ping(client: Client, command: protocol.Ping) -> None:
    """Answer a /ping."""
    client.reply(Pong(command.token))
    client.record_name_use()


@handles(protocol.Pong)
def note_pong(client: Client, _: protocol.Pong) -> None:
    """Record that the owner of the name uses it."""
    client.record_name_use()


@handles(protocol.Exit)
def end_session(_: Client, __: protocol.Exit) -> None:
    """End the session."""
    raise SessionEndedError("exit", "see you")
