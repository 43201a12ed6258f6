"""The rows of a /who reply: held until the proofs have come, and shown with a ✓ in the rows of proven names."""

from hubbub.client.output.who_reply import MAX_ROWS, WhoReply
from hubbub.protocol import End, Event, MemberRow, OwnerRow


def row(name: str) -> MemberRow:
    """Return the row of a member."""
    return MemberRow(name, "red", "lobby", 5)


def hold(reply: WhoReply, *events: Event) -> list[bool]:
    """Return which of the events are held."""
    return [reply.hold(event) for event in events]


def test_proven_name_has_a_mark_in_its_row() -> None:
    """The rows come out once, in their order."""
    reply = WhoReply()
    assert hold(reply, row("alice"), row("bob"), OwnerRow("alice"), End("who")) == [True, True, True, False]
    assert [line.text for line in reply.release()] == ["--- alice ✓ in lobby, idle 5 s", "--- bob in lobby, idle 5 s"]
    assert reply.release() == []


def test_proof_without_a_row_is_not_held() -> None:
    """It is shown in a line of its own, also when its row was shown before."""
    reply = WhoReply()
    assert hold(reply, OwnerRow("alice"), row("bob")) == [False, True]
    reply.release()
    assert hold(reply, OwnerRow("bob")) == [False]


def test_proof_of_an_earlier_reply_is_forgotten() -> None:
    """The next reply says again whose names are proven."""
    reply = WhoReply()
    hold(reply, row("alice"), OwnerRow("alice"))
    reply.release()
    hold(reply, row("alice"))
    assert [line.text for line in reply.release()] == ["--- alice in lobby, idle 5 s"]


def test_held_rows_have_a_limit() -> None:
    """A server cannot fill the memory."""
    reply = WhoReply()
    assert all(hold(reply, *[row("alice")] * MAX_ROWS))
    assert hold(reply, row("bob")) == [False]
