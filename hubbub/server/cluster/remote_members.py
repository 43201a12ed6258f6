"""Remote members: the members at other servers of the chat, in this server's directory."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.protocol import Notice, fold_name
from hubbub.server.cluster.shared_session import SharedSession
from hubbub.server.delivery.transport import NullTransport
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.room import Member, SessionState


@dataclass(eq=False, slots=True)
class RemoteMember(Member):
    """A member at another server, their home server: it serves them or holds their place, and stores their session."""

    home: str = ""


class RemoteMembers:
    """Applies changes at the other servers to the directory. Any thread; each method is one step.

    Nothing is stored: the home server stores its members.
    """

    def __init__(
        self,
        directory: Directory,
        hold_session: Callable[[SessionState], None],
        *,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """`hold_session` is `Presence.hold_session`; `uptime` gives seconds, for idle times."""
        self._directory = directory
        self._hold_session = hold_session
        self._uptime = uptime

    # --------------------------------------------------------------------------------------------- changes

    def update(self, session: SharedSession, home: str) -> None:
        """Show a member as their home server has them; they may have been served here until now."""
        with self._directory.step():
            member = self._directory.sessions.get(session.token_hash)
            if member is None:
                self._add(session, home)
                return
            remote = member if isinstance(member, RemoteMember) else self._hand_over(member)
            remote.home, remote.absent, remote.verifier = home, session.absent, session.verifier
            if remote.state is not None:
                session.update(remote.state)
            if (remote.name, remote.color) != (session.name, session.color):
                if fold_name(remote.name) != fold_name(session.name):
                    self._evict(session.name)
                self._directory.rename(remote, session.name, session.color)
            if remote.room is not None and remote.room.key != fold_name(session.room):
                self._directory.remove_from_room(remote, "leave")
                self._directory.put_in_room(remote, self._directory.reopen_room(session.room, session.room_key_id))

    def remove(self, token_hash: bytes, why: str) -> None:
        """Remove a remote member, or a local one who is absent."""
        with self._directory.step():
            member = self._directory.sessions.get(token_hash)
            if member is not None and (isinstance(member, RemoteMember) or member.absent):
                self._directory.remove(member, why)

    def adopt(self, session: SharedSession) -> None:
        """Hold the place of a member whose home server is dead."""
        with self._directory.step():
            member = self._directory.sessions.get(session.token_hash)
            if member is None:
                state = self._restore(session)
            elif isinstance(member, RemoteMember) and member.state is not None:
                state = member.state
            else:
                return
            self._hold_session(state)

    def remove_all_but(self, known: set[bytes]) -> None:
        """Remove the remote members whose token hash is not `known`."""
        with self._directory.lock:
            gone = [
                token_hash
                for token_hash, member in self._directory.sessions.items()
                if isinstance(member, RemoteMember) and token_hash not in known
            ]
        for token_hash in gone:
            self.remove(token_hash, "lost")

    def evict(self, member: Member) -> None:
        """End the session of a member after another user got their name."""
        with self._directory.step():
            if member.room is not None:
                self._evict(member.name)

    def restore(self, session: SharedSession) -> SessionState:
        """Return the updated state of a session that is resumed at this server."""
        with self._directory.lock:
            return self._restore(session)

    def store_again(self, member: Member) -> None:
        """Store the session of a local member again."""
        with self._directory.step():
            if member.room is not None:
                self._directory.store(member)

    def show_notice(self, key: str, text: str) -> None:
        """Show a notice from another server to everyone in a room."""
        with self._directory.step():
            if (room := self._directory.rooms.get(key)) is not None:
                self._directory.show(room, Notice(text))

    def note_activity(self, names: set[str]) -> None:
        """Record that the remote members with these names are active now."""
        now = self._uptime()
        with self._directory.lock:
            for name in names:
                if isinstance(member := self._directory.find(name), RemoteMember):
                    member.last_active = now

    # --------------------------------------------------------------------------------------------- questions

    def list_local(self) -> list[Member]:
        """Return the members at this server: connected, or with a place that is held."""
        with self._directory.lock:
            return [member for member in self._directory.sessions.values() if not isinstance(member, RemoteMember)]

    def is_local(self, token_hash: bytes) -> bool:
        """Return whether this server serves a member, or holds their place."""
        member = self.find(token_hash)
        return member is not None and not isinstance(member, RemoteMember)

    def find(self, token_hash: bytes) -> Member | None:
        """Return the member with this token hash, local or remote."""
        with self._directory.lock:
            return self._directory.sessions.get(token_hash)

    # --------------------------------------------------------------------------------------------- parts of a step

    def _restore(self, session: SharedSession) -> SessionState:
        state = self._directory.states.setdefault(session.token_hash, session.new_state())
        session.update(state)
        return state

    def _add(self, session: SharedSession, home: str) -> None:
        member = RemoteMember(NullTransport(), home=home, verifier=session.verifier)
        member.absent, member.last_active = session.absent, self._uptime()
        self._evict(session.name)
        self._directory.register(member, self._restore(session), session.name, session.color)
        self._directory.put_in_room(member, self._directory.reopen_room(session.room, session.room_key_id))

    def _evict(self, name: str) -> None:
        """Remove the member called `name`: at the other servers the name belongs to another user."""
        if (holder := self._directory.find(name)) is not None:
            holder.farewell = f"the name {name} now belongs to someone else; sign in under another name"
            self._directory.remove(holder, "lost")
            holder.transport.end_reading()

    def _hand_over(self, member: Member) -> RemoteMember:
        """Replace a local member, who is served at another server now, by a remote one. No one sees it."""
        remote = RemoteMember(NullTransport(), verifier=member.verifier)
        self._directory.replace(member, remote)
        member.transport.end_reading()
        return remote
