"""Name claims: a member gets a name if no one has it or a name that looks like it, here or at another server."""

from collections.abc import Iterator
from contextlib import contextmanager

from hubbub.protocol import ProtocolError
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.backend import Backend
from hubbub.server.journal.journal import JournalError
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.room import Member


class NameClaims:
    """Claims on names. Any thread.

    If an absent member has the name of an owner, the owner gets it at once, and the absent member leaves.
    """

    def __init__(self, directory: Directory, ownership: NameOwnership, backend: Backend) -> None:
        self._directory = directory
        self._ownership = ownership
        self._backend = backend

    @contextmanager
    def claim(self, member: Member, name: str, token_hash: bytes, current: str = "") -> Iterator[None]:
        """Take the lock for a step in which `member` gets `name`, after the backend has granted it.

        If the step fails, the session gets back its earlier name `current`, or is released if that is empty. Raises
        ProtocolError `name-taken`, and JournalError.
        """
        with self._directory.lock:
            holder = self._directory.find(name)
            rival = holder.state.token_hash if holder and holder.state and self._gives_way(holder, member) else b""
        try:
            granted = self._backend.claim_name(name, token_hash, rival)
            if granted:
                with self._directory.step():
                    yield
        except (ProtocolError, JournalError):  # of the backend, too: if its answer is lost, the claim may exist
            self._backend.release_name(token_hash, current)
            raise
        if not granted:
            raise ProtocolError(
                "name-taken", f"the name {name} is in use, or looks like one that is; choose another name"
            )

    def check(self, member: Member, name: str) -> None:
        """Raise ProtocolError `name-taken` if `member` cannot have `name`. Part of a step."""
        holder = self._directory.find(name)
        if holder is not None and self._gives_way(holder, member):
            self._directory.leave(holder, "lost")
            holder = None
        if holder not in (None, member):
            raise ProtocolError("name-taken", f"the name {name} is in use; choose another name")
        if other := self._directory.find_confusable(name, member):
            raise ProtocolError(
                "name-taken", f"the name {name} looks like {other}, which is in use; choose another name"
            )
        if holder is None:
            self._ownership.check_available(name, member.verifier)

    def _gives_way(self, holder: Member, member: Member) -> bool:
        return holder.absent and self._ownership.is_owner(holder.name, member.verifier)
