"""The commands to sign in: pass, challenge, prove, name and resume; name and color also change these later."""

import secrets

from loguru import logger

from hubbub import protocol
from hubbub.protocol import Notice, ProtocolError, ServerChallenge
from hubbub.server.access.ownership import verify_client_proof
from hubbub.server.commands.base import Client, handles

TOKEN_BYTES = 16  # 128 random bits
NONCE_BYTES = 16  # 128 random bits
PROVE_FIRST = "you are signed in already; prove your identity before /name"


@handles(protocol.Pass)
def check_password(client: Client, command: protocol.Pass) -> None:
    """Check the server's password."""
    if not client.needs_password or client.context.password is None:
        raise ProtocolError("not-allowed", "no password is needed; continue with /name NAME")
    client.context.password.check(command.password, client.address, client.context.hash_pool)
    client.needs_password = False


@handles(protocol.Challenge)
def send_challenge(client: Client, _: protocol.Challenge) -> None:
    """Send a nonce for one proof."""
    client.refuse_if_named(PROVE_FIRST)
    client.nonce = secrets.token_hex(NONCE_BYTES)
    client.reply(ServerChallenge(client.context.ownership.server_id, client.nonce))


@handles(protocol.Prove)
def check_proof(client: Client, command: protocol.Prove) -> None:
    """Check the proof of an identity. The nonce is used up even if the proof is wrong."""
    client.refuse_if_named(PROVE_FIRST)
    nonce, client.nonce = client.nonce, ""
    if not nonce:
        raise ProtocolError("proof-wrong", "there is nothing to prove; ask for a /challenge first")
    if not verify_client_proof(command.verifier, command.proof, nonce, client.context.ownership.server_id):
        raise ProtocolError("proof-wrong", "this proof is wrong; ask for another /challenge")
    client.member.verifier = command.verifier


@handles(protocol.Name)
def sign_in_or_rename(client: Client, command: protocol.Name) -> None:
    """Sign in under a name, or change the name of a member."""
    name = protocol.check_name(command.name)
    color = protocol.check_color(command.color) if command.color else ""
    member, membership = client.member, client.context.membership
    if member.name:
        old = member.name
        _limit_name_changes(client)
        membership.rename(member, name, color or member.color)
        client.record_name_use()
        _warn_if_not_owned(client)
        logger.info("renamed {!r} to {!r}", old, member.name)
        return
    client.context.moderation.refuse_banned_address(client.address)  # the ban may be newer than the connection
    token = secrets.token_hex(TOKEN_BYTES)
    membership.sign_in(member, name, color or protocol.default_color(name), token)
    client.context.connection_limiter.mark_named(client.admission)
    client.record_name_use()
    _warn_if_not_owned(client)
    logger.info("signed in {} {!r}", client.address, name)


def _warn_if_not_owned(client: Client) -> None:
    """Tell a client that proved an identity if the limits of owned names give it none."""
    member = client.member
    if member.verifier and not client.context.ownership.is_owner(member.name, member.verifier):
        text = f"{member.name} is not yours when you leave: the server or your address has too many owned names"
        client.reply(Notice(text))


@handles(protocol.Resume)
def resume(client: Client, command: protocol.Resume) -> None:
    """Return to the place that is held for a lost connection."""
    client.refuse_if_named("you are signed in already; send /resume instead of /name")
    key = protocol.fold_name(protocol.check_room(command.room))
    client.context.moderation.refuse_banned_address(client.address)  # the ban may be newer than the connection
    previous = client.context.presence.resume(client.member, command.token, key, command.seq)
    client.context.connection_limiter.mark_named(client.admission)
    client.record_name_use()
    logger.info("resumed {} {!r}", client.address, client.member.name)
    if previous is not None:
        previous.transport.end_reading()


@handles(protocol.Color)
def change_color(client: Client, command: protocol.Color) -> None:
    """Change the colour of a member."""
    color = protocol.check_color(command.color)
    _limit_name_changes(client)
    client.context.membership.rename(client.member, client.member.name, color)


def _limit_name_changes(client: Client) -> None:
    changes = client.context.limits.name_changes_per_minute
    client.count_change(client.name_changes, f"you may change your name or colour {changes} times a minute")
