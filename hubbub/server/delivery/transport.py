"""The interface through which the delivery thread writes to a client."""

from typing import Protocol


class Transport(Protocol):
    """The connection of a subscriber. No method blocks."""

    broken: bool  # the peer is gone, or the server has dropped it

    def send(self, data: bytes) -> int:
        """Send `data` as far as possible without waiting; return the number of bytes sent."""

    def fileno(self) -> int:
        """Return a descriptor for a selector."""

    def end_reading(self) -> None:
        """Make the reading thread return."""

    def end_writing(self) -> None:
        """Tell the peer that nothing more comes."""

    def close(self) -> None:
        """Release the descriptor."""


class NullTransport:
    """The transport of a member who has no connection to this server."""

    broken = True

    def send(self, data: bytes) -> int:  # noqa: ARG002  # the interface
        """Send nothing."""
        return 0

    def fileno(self) -> int:
        """Return no descriptor."""
        return -1

    def end_reading(self) -> None:
        """Do nothing."""

    def end_writing(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
