"""A session as all servers of a chat share it: JSON in Redis."""

import json
from dataclasses import dataclass

from hubbub.server.rooms.room import SessionState


@dataclass(frozen=True, slots=True)
class SharedSession:
    """A session as its home server has stored it."""

    token_hash: bytes
    name: str
    color: str
    room: str
    present: bool  # the member has not left
    room_key_id: str
    verifier: str
    absent: bool  # the connection is lost, and the place is held
    why: str  # the member left: one word
    accepted: int = 0  # the number of the last post that is stored

    @classmethod
    def parse(cls, token: str, data: bytes, accepted: bytes | None = None) -> "SharedSession":
        """Return the session of a token hash, in hexadecimal, from its JSON."""
        who = json.loads(data)
        room_key_id, absent = who.pop("lock"), who.pop("away")
        return cls(bytes.fromhex(token), room_key_id=room_key_id, absent=absent, accepted=int(accepted or 0), **who)

    def new_state(self) -> SessionState:
        """Return a new state for a session that this server does not have in memory."""
        state = SessionState(self.token_hash, verifier=self.verifier)
        self.update(state)
        return state

    def update(self, state: SessionState) -> None:
        """Update the state of a session that another server serves."""
        state.name, state.color, state.room, state.room_key_id = self.name, self.color, self.room, self.room_key_id
        state.accepted = max(state.accepted, self.accepted)


def to_json(state: SessionState) -> str:
    """Return a session as JSON. The fields and their order are part of the data format."""
    return json.dumps(
        {
            "name": state.name,
            "color": state.color,
            "room": state.room,
            "present": state.present,
            "lock": state.room_key_id,
            "verifier": state.verifier,
            "away": state.absent,
            "why": state.why,
        },
        ensure_ascii=False,
    )
