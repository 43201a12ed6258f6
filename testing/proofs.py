"""Proof of identity over the wire (SCRAM, RFC 5802), independent of the code of the client."""

import hashlib
import hmac

from testing.wire_client import WireClient


def make_prove_command(secret: bytes, server_id: str, nonce: str) -> str:
    """Return the `/prove` command of a user with this secret."""
    client_key = hmac.digest(secret, b"chat-room name key" + server_id.encode(), "sha256")
    verifier = hashlib.sha256(client_key).digest()
    signature = hmac.digest(verifier, (nonce + server_id).encode(), "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return f"/prove {verifier.hex()} {proof.hex()}"


def request_challenge(client: WireClient) -> tuple[str, str]:
    """Return the server's ID and a new nonce."""
    client.send("/challenge")
    _, server_id, nonce = client.read_match("/challenge").split()
    return server_id, nonce


def prove_identity(client: WireClient, secret: bytes) -> None:
    """Prove that the client has `secret`."""
    client.send(make_prove_command(secret, *request_challenge(client)))


def sign_in_as_owner(client: WireClient, name: str, secret: bytes) -> None:
    """Prove an identity and sign in under `name`, which it owns from then on."""
    prove_identity(client, secret)
    client.send(f"/name {name}")
    client.read_until("/entered")
