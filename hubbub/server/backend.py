"""The backend of a server: its journal and sequencer, and its coordination with other servers of the same chat."""

from collections.abc import Callable, Sequence
from typing import Protocol

from hubbub.server.access.moderation import Connection, Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.room_keys import RoomKeys
from hubbub.server.delivery.actions import DeliverPrivately
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.delivery.sequencer import LocalSequencer, Sequencer
from hubbub.server.journal.journal import Journal, LocalJournal, SessionRow
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.room import Member, SessionState


class Backend(Protocol):
    """The storage of a server, and its link to other servers. One thread calls `attach`, `start` and `stop`.

    Any thread may call the others. `claim_name`, `prepare_room`, `held_sessions` and `restore_session` may wait, and
    raise JournalError. `release_name` may wait, and so may `forward_private` while many messages are unsent.
    """

    warning: str
    """A warning for the administrator at the start, in one line; empty if there is none."""

    @property
    def journal(self) -> Journal:
        """The stored lines and facts."""

    @property
    def sequencer(self) -> Sequencer:
        """Numbers and stores batches."""

    def attach(
        self,
        *,
        delivery: Delivery,
        directory: Directory,
        hold_session: Callable[[SessionState], None],
        expel: Callable[[Member, str], object],
        ownership: NameOwnership,
        moderation: Moderation,
        room_keys: RoomKeys,
        list_connections: Callable[[], Sequence[Connection]],
    ) -> None:
        """Receive the server's parts before `start`. `hold_session` is a method of Presence, `expel` of Membership."""

    def start(self) -> None:
        """Join the chat. The directory has been filled before. Raises JournalError."""

    def stop(self) -> None:
        """Leave the chat, and close the journal. Idempotent."""

    def claim_name(self, name: str, token_hash: bytes, rival: bytes = b"") -> bool:
        """Claim a session for this server, and a name and its confusable names for the session.

        Return whether both are granted. The session `rival` loses the name.
        """

    def release_name(self, token_hash: bytes, current: str) -> None:
        """Release all names of a session except `current`. If that is empty, release the session, too."""

    def held_sessions(self) -> list[SessionState]:
        """Return the sessions of the last run whose places this server holds when it starts."""

    def restore_session(self, token_hash: bytes, state: SessionState | None) -> SessionState | None:
        """Return the session to resume; None if it is not known. `state` is what this server has in memory."""

    def prepare_room(self, key: str, seq: int = 0) -> None:
        """Fetch the lines of a room, at least up to `seq`, before a member enters it. Called without a lock."""

    def forward_private(self, message: DeliverPrivately) -> bool:
        """Send a private message to the server of its recipient; return False if that is this server."""

    def forward_expulsion(self, member: Member, action: str) -> bool:
        """Ask the home server of a member to expel them; return False if that is this server."""

    def relay_notice(self, key: str, text: str) -> None:
        """Show a notice to the members of a room at other servers."""


class LocalBackend:
    """The backend of a single server, which shares its chat with no other."""

    warning = ""

    def __init__(self, journal: LocalJournal) -> None:
        """Take over `journal`, which `stop` closes."""
        self.journal = journal
        self.sequencer = LocalSequencer(journal)

    def attach(self, **_: object) -> None:
        """Do nothing."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Close the journal."""
        self.journal.close()

    def claim_name(self, name: str, token_hash: bytes, rival: bytes = b"") -> bool:  # noqa: ARG002  # the protocol's
        """Grant every name: the directory knows all members."""
        return True

    def release_name(self, token_hash: bytes, current: str) -> None:
        """Do nothing."""

    def held_sessions(self) -> list[SessionState]:
        """Return the sessions that were present when the journal was last written."""
        return list(map(_state_of, self.journal.list_present()))

    def restore_session(self, token_hash: bytes, state: SessionState | None) -> SessionState | None:
        """Return what is in memory, else what is in the journal."""
        if state is None and (row := self.journal.find_session(token_hash)) is not None:
            return _state_of(row)
        return state

    def prepare_room(self, key: str, seq: int = 0) -> None:  # noqa: ARG002  # the protocol's
        """Look the room up, so that the delivery thread does not wait for that."""
        self.journal.last_seq(key)

    def forward_private(self, message: DeliverPrivately) -> bool:  # noqa: ARG002  # the protocol's
        """Return False: there is no other server."""
        return False

    def forward_expulsion(self, member: Member, action: str) -> bool:  # noqa: ARG002  # the protocol's
        """Return False: there is no other server."""
        return False

    def relay_notice(self, key: str, text: str) -> None:
        """Do nothing: there is no other server."""


def _state_of(row: SessionRow) -> SessionState:
    return SessionState(row.token_hash, row.name, row.color, row.room, row.accepted, room_key_id=row.room_key_id)
