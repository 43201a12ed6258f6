"""The other servers of the same chat: what one has to ask and to tell them, and how it is where there are none."""

from typing import Protocol

from hubbub.server.delivery.actions import DeliverPrivately
from hubbub.server.rooms.room import Member


class Others(Protocol):
    """For any thread. `exist` says whether there can be any.

    `claim` and `watch` wait for them and raise JournalError; `disclaim` and, while many do so, `tell` wait. The rest
    never waits.
    """

    exist: bool

    def claim(self, name: str, token_hash: bytes, rival: bytes = b"") -> bool:
        """Have a session be served here, and `name` with all that looks like it be its own; return whether it is.

        Who has the session `rival` gives way.
        """

    def disclaim(self, token_hash: bytes, name: str) -> None:
        """Give up what was claimed but `name`; without one, the session as well. Also after `claim` has raised."""

    def watch(self, key: str, seq: int = 0) -> None:
        """See to it that what is said in a room comes from when somebody enters it, who has it up to `seq`.

        To be called before that, without any lock.
        """

    def tell(self, told: DeliverPrivately) -> None:
        """Have the server that serves `told.recipient` bring it to him, or back what he could not be told."""

    def expel(self, member: Member, action: str) -> None:
        """Have the server that serves a member make him leave."""

    def show_notice(self, key: str, text: str) -> None:
        """Have the others show a notice to all in a room."""


class Nobody:
    """There are no other servers: all is ours, and there is nobody to tell."""

    exist = False

    def claim(self, name: str, token_hash: bytes, rival: bytes = b"") -> bool:  # noqa: ARG002  # as others are asked
        """Say that it is ours."""
        return True

    def disclaim(self, token_hash: bytes, name: str) -> None:
        """Do nothing."""

    def watch(self, key: str, seq: int = 0) -> None:
        """Do nothing."""

    def tell(self, told: DeliverPrivately) -> None:
        """Do nothing: nobody is served elsewhere."""

    def expel(self, member: Member, action: str) -> None:
        """Do nothing: nobody is served elsewhere."""

    def show_notice(self, key: str, text: str) -> None:
        """Do nothing."""
