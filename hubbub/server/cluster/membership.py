"""The membership of a server among others: it knows their people, too, as members who are elsewhere."""

from hubbub.protocol import Notice, Renamed, fold_name
from hubbub.server.delivery.transport import NullTransport
from hubbub.server.journal.journal import SessionRow
from hubbub.server.rooms.membership import Membership, learn, state_of
from hubbub.server.rooms.room import Member


class ClusterMembership(Membership):
    """A membership that follows what other servers tell. Any thread may call any method; each is one step."""

    def mirror(self, row: SessionRow, home: str) -> None:
        """Have somebody be as another server, his `home`, says that he is; he may have been here before."""
        with self._step():
            member = self._present.get(row.token_hash)
            if member is not None and not member.elsewhere:
                member = self._let_go(member)
            if member is None:
                self._appear(row, home)
                return
            member.elsewhere, member.away, member.verifier = home, row.away, row.verifier
            if member.state is not None:
                learn(member.state, row)
            if (member.name, member.color) != (row.name, row.color):
                self._change_name(member, row.name, row.color)
            if member.room is not None and member.room.key != fold_name(row.room):
                self._remove(member, "leave")
                self._move(member, self._room_again(row.room, row.lock))

    def unmirror(self, token_hash: bytes, why: str) -> None:
        """Have somebody be gone who was elsewhere, or whose place was held here until his name was given away."""
        with self._step():
            member = self._present.get(token_hash)
            if member is not None and (member.elsewhere or member.away):
                member.elsewhere = member.elsewhere or "gone"  # so that nothing is kept of him here
                self._leave(member, why or "exit")

    def adopt(self, row: SessionRow) -> None:
        """Hold the place of somebody whose server is dead, until his grace is over."""
        with self._step():
            member = self._present.get(row.token_hash)
            if member is None:
                self._hold_place(row)
            elif member.elsewhere:
                member.elsewhere = ""
                self._hold(member)

    def forget_others(self, known: set[bytes]) -> None:
        """Have everybody be gone who is elsewhere and not `known` to be there."""
        with self._lock:
            gone = [hashed for hashed, member in self._present.items() if member.elsewhere and hashed not in known]
        for hashed in gone:
            self.unmirror(hashed, "lost")

    def own(self) -> list[Member]:
        """Return those who are served, or held, here."""
        with self._lock:
            return [member for member in self._present.values() if not member.elsewhere]

    def keep_again(self, member: Member) -> None:
        """Have the others know anew of a member who is here."""
        with self._step():
            if member.room is not None:
                self._keep(member, member.room)

    def serves(self, token_hash: bytes) -> bool:
        """Return whether somebody is served, or held, here."""
        with self._lock:
            member = self._present.get(token_hash)
            return member is not None and not member.elsewhere

    def drop(self, member: Member) -> None:
        """End the session of somebody whose name is somebody else's by now, if he is here."""
        with self._step():
            if member.room is not None:
                self._evict(member.name)

    def find_session(self, token_hash: bytes) -> Member | None:
        """Return the member with this token's hash."""
        with self._lock:
            return self._present.get(token_hash)

    def show_notice(self, key: str, text: str) -> None:
        """Show a notice of another server to all in a room."""
        with self._step():
            if (room := self._rooms.get(key)) is not None:
                self._show(room, Notice(text))

    def note_speakers(self, names: set[str]) -> None:
        """Note that those of these names have just said something, where they are elsewhere."""
        now = self._uptime()
        with self._lock:
            for name in names:
                if (member := self._names.get(fold_name(name))) is not None and member.elsewhere:
                    member.last_active = now

    # ------------------------------------------------------------------------------------- the parts of a step

    def _appear(self, row: SessionRow, home: str) -> None:
        """Have somebody be elsewhere of whom nothing was known."""
        member = Member(NullTransport(), last_active=self._uptime(), elsewhere=home, verifier=row.verifier)
        member.away = row.away
        self._evict(row.name)
        state = self._states.setdefault(row.token_hash, state_of(row))
        learn(state, row)
        self._seat(member, state, row.name, row.color)
        self._give_name(member)
        self._move(member, self._room_again(row.room, row.lock))

    def _evict(self, name: str) -> None:
        """Have nobody bear a name that all the others know to be somebody else's."""
        if (holder := self._names.get(fold_name(name))) is not None:
            holder.farewell = f"{name} is somebody else's by now; come back under another name"
            holder.elsewhere = holder.elsewhere or "gone"
            self._leave(holder, "lost")
            holder.transport.end_reading()

    def _let_go(self, before: Member) -> Member:
        """Have somebody be elsewhere who was here until now; nobody sees it. Return him as he is from then on."""
        member = Member(NullTransport(), elsewhere="somewhere", verifier=before.verifier)
        self._take_place(before, member)
        before.transport.end_reading()
        return member

    def _change_name(self, member: Member, name: str, color: str) -> None:
        room, old = member.room, member.name
        assert room is not None  # whoever is present is in a room
        if fold_name(old) != fold_name(name):
            self._evict(name)
        self._exchange_name(member, room, name, color)
        self._show(room, Renamed(room.name, self._now(), old, color, name))
