"""The bytes that wait to be sent."""

from hubbub.client.network.send_buffer import SendBuffer


def test_bytes_leave_in_order() -> None:
    """What is sent is removed, and the rest stays."""
    buffer = SendBuffer()
    buffer.add(b"one")
    buffer.add(b"two")
    assert (buffer.peek(4), len(buffer)) == (b"onet", 6)
    buffer.remove(4)
    assert buffer.peek(4) == b"wo"


def test_waiting_time_starts_with_the_first_byte() -> None:
    """It starts again whenever bytes leave, and an empty buffer waits for nothing."""
    buffer = SendBuffer()
    assert buffer.waiting_since is None
    buffer.add(b"one")
    first = buffer.waiting_since
    buffer.add(b"two")
    assert buffer.waiting_since == first is not None
    buffer.remove(3)
    assert buffer.waiting_since is not None
    assert buffer.waiting_since >= first
    buffer.remove(3)
    assert buffer.waiting_since is None


def test_nothing_is_stored_without_a_connection() -> None:
    """What waited is dropped, and so is what is added, the last command too."""
    buffer = SendBuffer()
    buffer.add(b"one")
    buffer.go_offline()
    buffer.add(b"two")
    assert len(buffer) == 0
    buffer.go_online()
    buffer.add(b"three")
    assert buffer.peek(9) == b"three"
    buffer.go_offline()
    buffer.finish(b"last", 1.0)
    assert (len(buffer), buffer.finish_by) == (0, 1.0)


def test_finish_is_idempotent() -> None:
    """The first deadline and the first last command count."""
    buffer = SendBuffer()
    buffer.finish(b"last", 1.0)
    buffer.finish(b"again", 2.0)
    assert (buffer.peek(9), buffer.finish_by) == (b"last", 1.0)
