"""Sessions as JSON in Redis: the format of version 0.1.0."""

from hubbub.server.cluster.shared_session import SharedSession, to_json
from hubbub.server.rooms.room import SessionState

JSON = (
    '{"name": "Зоя", "color": "red", "room": "ops", "present": false, "lock": "id",'
    ' "verifier": "v", "away": true, "why": "lost"}'
)
STATE = SessionState(
    b"\1" * 16, "Зоя", "red", "ops", 7, present=False, room_key_id="id", verifier="v", absent=True, why="lost"
)


def test_json_is_that_of_earlier_versions() -> None:
    """Servers of different versions share a Redis, and compare sessions as text."""
    assert to_json(STATE) == JSON


def test_parse_is_the_inverse() -> None:
    """With the number of the last post, which Redis stores by itself."""
    session = SharedSession.parse("01" * 16, JSON.encode(), b"7")
    assert (session.token_hash, session.name, session.room_key_id, session.absent) == (b"\1" * 16, "Зоя", "id", True)
    assert (session.new_state().accepted, session.new_state().verifier) == (7, "v")


def test_update_keeps_a_higher_accepted_number() -> None:
    """The server may have accepted more than another one has stored."""
    state = SessionState(b"\1" * 16, accepted=9)
    SharedSession.parse("01" * 16, JSON.encode(), b"7").update(state)
    assert (state.name, state.room, state.accepted) == ("Зоя", "ops", 9)
