"""The membership: who is called what, and who is where. One lock; each method is one step under it.

Whose connection is lost stays for a while, so that he can come back without anybody seeing it; a thread of the
membership's own sees to it that he leaves when that time is over.
"""

import hashlib
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loguru import logger

from hubbub.protocol import (
    LOBBY,
    PRESENCE_MEMBERS,
    RESERVED_NAMES,
    Bye,
    Event,
    Joined,
    Left,
    MemberRow,
    Notice,
    OwnerRow,
    ProtocolError,
    Renamed,
    RoomRow,
    fold_name,
)
from hubbub.server.access.confusables import ConfusableIndex
from hubbub.server.access.limits import Limits
from hubbub.server.access.moderation import Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.access.room_keys import RoomKey, RoomKeys, locked, mistakable
from hubbub.server.delivery.actions import (
    Action,
    Broadcast,
    Finish,
    ForgetHistory,
    SendWelcome,
    StoreSession,
    Subscribe,
    Unsubscribe,
)
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.delivery.transport import NullTransport
from hubbub.server.journal.journal import Journal, JournalError, SessionRow
from hubbub.server.others import Nobody, Others
from hubbub.server.rooms.room import Member, Room, SessionState

TOKEN_HASH_BYTES = 16  # of BLAKE2b; a token is 128 random bits, so it needs no salt


@dataclass(frozen=True, slots=True)
class Counts:
    """How many people and rooms there are."""

    people: int
    rooms: int


class Membership:
    """Names and rooms. Any thread may call any method; a member is moved and renamed by his own session's thread only.

    What a step means for those who receive is queued for the delivery thread within the step, so that all see it in
    the order in which it happened. RoomKey order: this lock, then the delivery's or that of the names.
    """

    def __init__(
        self,
        delivery: Delivery,
        journal: Journal,
        limits: Limits,
        names: NameOwnership | None = None,
        moderation: Moderation | None = None,
        locks: RoomKeys | None = None,
        others: Others | None = None,
        *,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """`names` says whose a name is, `others` are the servers that share the chat.

        `clock` gives seconds since 1970, `uptime` seconds for idle times and grace.
        """
        self._delivery = delivery
        self._journal = journal
        self._limits = limits
        self._moderation = moderation or Moderation(journal)
        self._locks = locks or RoomKeys(journal)
        self._owned = names or NameOwnership(journal)
        self._others = others or Nobody()
        self._clock = clock
        self._uptime = uptime
        self._lock = threading.Lock()  # guards all below, and of each member what `Member` says
        self._changed = threading.Condition(self._lock)  # told when somebody is away, and at the stop
        self._names: dict[str, Member] = {}
        self._looks = ConfusableIndex(RESERVED_NAMES)  # of those names
        self._rooms: dict[str, Room] = {}
        self._room_looks = ConfusableIndex()
        self._made: Counter[bytes] = Counter()  # by token hash, the rooms there are that somebody made
        self._open(Room(LOBBY, LOBBY))
        self._present: dict[bytes, Member] = {}  # by token hash, those who are here or away
        # Those of whom something may still be in the delivery's queue, so that nobody is there in two states.
        self._states: weakref.WeakValueDictionary[bytes, SessionState] = weakref.WeakValueDictionary()
        self._away: deque[tuple[float, Member]] = deque()  # with the time at which each leaves, in that order
        self._stopping = False
        self._thread = threading.Thread(target=self._let_the_lost_go, name="grace")  # joined by stop

    @contextmanager
    def _step(self) -> Iterator[None]:
        with self._lock:
            yield
        self._delivery.wake()

    def start(self) -> None:
        """Hold the places of those who were here when the server ended, and start the thread that lets the lost go.

        Raises JournalError.
        """
        rows = self._journal.list_present()
        with self._lock:
            for row in rows:
                self._hold_place(row)
        self._thread.start()

    def stop(self) -> None:
        """Let nobody in any more, let those who go do so silently, and join. Idempotent."""
        with self._lock:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def sign_in(self, member: Member, name: str, color: str, token: str) -> None:
        """Give `name` to a member who has none, and bring him to the lobby; with `token` he may come back.

        Raises ProtocolError `name-taken`, `not-allowed` or `server-stopping`, and JournalError.
        """
        self._others.watch(LOBBY)
        with self._claiming(member, name, token_hash(token), ""), self._step():
            self._refuse_when_stopping()
            self._moderation.refuse_banned(name)
            self._claim(member, name)
            state = SessionState(token_hash(token))
            self._states[state.token_hash] = state
            self._seat(member, state, name, color)
            self._queue(SendWelcome(member, name, color, token))
            self._move(member, self._rooms[LOBBY])

    def resume(self, member: Member, token: str, key: str, seq: int) -> Member | None:
        """Bring a member who has no name back as the one whose `token` it is, with what follows `seq` in room `key`.

        Return the member in whose place he is now, whose connection is to be ended, if there is one. Raises
        ProtocolError `resume-unknown`, `name-taken`, `not-allowed`, `server-stopping`, and JournalError.
        """
        state = self._state_of(token_hash(token))
        member.verifier = member.verifier or state.verifier
        self._others.watch(fold_name(state.room), seq if key == fold_name(state.room) else 0)
        self._others.watch(LOBBY)
        self._moderation.refuse_banned(state.name)
        with self._claiming(member, state.name, state.token_hash, ""), self._step():
            self._refuse_when_stopping()
            self._moderation.refuse_banned(state.name)  # once more: what came before had to wait for the others
            before = self._present.get(state.token_hash)
            if before is None:
                self._return(member, state, token, key, seq)
            else:
                self._replace(before, member, token, key, seq)
        return before

    def _state_of(self, hashed: bytes) -> SessionState:
        with self._lock:
            state = self._states.get(hashed)
            here = self._present.get(hashed)
        if state is None or (self._others.exist and (here is None or here.elsewhere or here.away)):
            row = self._journal.find_session(hashed)
            with self._lock:
                if row is not None:
                    state = self._states.setdefault(hashed, state_of(row))
                    learn(state, row)  # nobody here writes it just now
        if state is None or state.ended:
            raise ProtocolError("resume-unknown", "this session is over or not known here; say /name NAME [COLOR]")
        return state

    def rename(self, member: Member, name: str, color: str) -> None:
        """Change a member's name, or only its colour, and show it to his room.

        Raises ProtocolError `name-taken`, and `not-allowed` for a banned name and for who is muted under the old one,
        and JournalError.
        """
        if member.state is None or fold_name(member.name) == fold_name(name):
            self._rename(member, name, color)
            return
        with self._claiming(member, name, member.state.token_hash, member.name):
            self._rename(member, name, color)

    def _rename(self, member: Member, name: str, color: str) -> None:
        with self._step():
            room, old = self._room_of(member), member.name
            if (name, color) == (old, member.color):
                return
            if fold_name(old) != fold_name(name):
                self._moderation.refuse_muted(old)
                self._moderation.refuse_banned(name)
            self._claim(member, name)
            self._exchange_name(member, room, name, color)
            self._owned.claim_name(name, member.verifier)
            self._show(room, Renamed(room.name, self._now(), old, color, name))
            self._keep(member, room)

    def join_room(self, member: Member, name: str, lock: RoomKey | None = None, *, new: bool = False) -> str:
        """Move a member to the room called `name`, made if it is not there. Return the room's name as it is shown.

        `lock` is what he has opened; `new` says that the room must not be there. Raises ProtocolError `room-locked`
        where by now there is another, `not-allowed` where he is there already, or somebody is where it is to be new,
        `room-invalid` where it looks like another, `too-many` where there can be no more, `server-stopping`, and
        JournalError.
        """
        self._others.watch(fold_name(name))
        with self._step():
            self._refuse_when_stopping()
            here = self._room_of(member)
            room = self._rooms.get(fold_name(name)) or self._new_room(member, name)
            if here is room:
                raise ProtocolError("not-allowed", f"you are in {room.name} already")
            if self._locks.find(room.key) is not lock:
                raise locked(name)
            if new and room.key in self._rooms:
                raise ProtocolError("not-allowed", f"somebody was faster to {name}; /join {name} without KEY")
            if lock is not None:
                lock.entries += 1
            self._remove(member, "leave")
            self._move(member, room)
            return room.name

    def is_in(self, member: Member, key: str) -> bool:
        """Return whether a member is in this room."""
        with self._lock:
            return member.room is not None and member.room.key == key

    def has(self, key: str) -> bool:
        """Return whether anybody is in this room, or it is the lobby."""
        with self._lock:
            return key in self._rooms

    def idle_lock(self, key: str) -> tuple[RoomKey, int] | None:
        """Return the lock of a room that nobody is in, and how often it was passed; None where there is none.

        One that was not passed yet is being made, and counts for none.
        """
        with self._lock:
            lock = self._locks.find(key)
            return (lock, lock.entries) if lock and lock.entries and key not in self._rooms else None

    def unlock(self, lock: RoomKey, entries: int) -> bool:
        """Take a lock off if nobody has been there since it was passed so often; return whether that is done.

        The caller knows that nothing is kept of what was said behind it.
        """
        with self._step():
            if lock.room in self._rooms or lock.entries != entries:
                return False
            self._locks.remove(lock)
            self._queue(ForgetHistory(lock.room))
            return True

    def leave(self, member: Member, why: str) -> None:
        """Take a member out of the chat and free his name, if he has one; `why` is one word. Idempotent.

        Who leaves with `exit` cannot be resumed.
        """
        with self._step():
            self._leave(member, why, for_good=why == "exit")

    def expel(
        self, who: str | Member, action: str, check: Callable[[Member], None] = lambda _: None
    ) -> tuple[str, Room | None]:
        """Make a member leave for good, or whoever bears a name, unless `check`, called under the lock, raises.

        `action` is what was done to him, like `kicked by bob`: he and his room are told. Return his name and that room;
        empty and None where there is nobody. His connection ends by itself. Any thread.
        """
        with self._step():
            member = self._names.get(fold_name(who)) if isinstance(who, str) else who
            if member is None:
                return "", None
            check(member)
            room = member.room
            if member.elsewhere:
                self._others.expel(member, action)
                return member.name, room
            member.farewell = f"you were {action}"  # first, so that his session knows why he is nowhere
            self._leave(member, "kicked", for_good=True)
            if room is not None:
                self._show_notice(room, f"{member.name} was {action}")
        member.transport.end_reading()
        return member.name, room

    def announce(self, name: str, action: str) -> Room | None:
        """Tell the room of whoever bears `name` what was done to him. Return the room; None if there is nobody."""
        with self._step():
            member = self._names.get(fold_name(name))
            room = member.room if member else None
            if member and room:
                self._show_notice(room, f"{member.name} was {action}")
            return room

    def hold_place(self, member: Member) -> None:
        """Hold the name of a member whose connection is lost until the grace is over. Idempotent."""
        with self._step():
            if member.room is None or member.away:
                return
            if not self._limits.grace_seconds or self._stopping:
                self._leave(member, "lost")
                return
            self._queue(Unsubscribe(member))
            self._hold(member)
            self._keep(member, member.room)  # he was last seen now

    def find(self, name: str) -> Member:
        """Return the member called `name` who can be told something. Raises ProtocolError `no-such-person`."""
        with self._lock:
            member = self._names.get(fold_name(name))
            away = member is not None and member.away
        if member is None:
            raise ProtocolError("no-such-person", f"there is nobody called {name}; /who shows who is here")
        if away:
            raise ProtocolError("no-such-person", f"{member.name} has just lost the connection; try again in a minute")
        return member

    def list_rooms(self) -> list[RoomRow]:
        """Return every room that people are in, the lobby first, then by name."""
        with self._lock:
            rooms = sorted(self._rooms.values(), key=lambda room: (room.key != LOBBY, room.key))
            return [RoomRow(room.name, len(room.members), self._locks.flags_of(room.key)) for room in rooms]

    def list_members(self, name: str, asker: Member | None = None) -> list[MemberRow | OwnerRow]:
        """Return the members of the room called `name`, by name, and then who of them owns his name.

        Raises ProtocolError `room-invalid`, and `room-locked` where it is, and `asker` not in it.
        """
        now = self._uptime()
        with self._lock:
            room = self._rooms.get(fold_name(name))
            if room is None:
                raise ProtocolError("room-invalid", f"there is no room {name}; /list shows them")
            if self._locks.find(room.key) and (asker is None or asker.room is not room):
                raise locked(name)
            members = [member for _, member in sorted(room.members.items())]
            rows = [
                MemberRow(member.name, member.color, room.name, max(0, int(now - member.last_active)))
                for member in members
            ]
            owners = [member.name for member in members if self._owned.is_owner(member.name, member.verifier)]
            return [*rows, *map(OwnerRow, owners)]

    def count(self) -> Counts:
        """Return how many people have a name and how many rooms there are, the lobby among them."""
        with self._lock:
            return Counts(len(self._names), len(self._rooms))

    # ------------------------------------------------------------------------------------- the parts of a step

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _queue(self, entry: Action) -> None:
        self._delivery.enqueue(entry)

    def _hold(self, member: Member) -> None:
        member.away = True
        self._away.append((self._uptime() + self._limits.grace_seconds, member))
        if len(self._away) == 1:  # else the thread waits for somebody whose time is over earlier
            self._changed.notify_all()

    @contextmanager
    def _claiming(self, member: Member, name: str, hashed: bytes, kept: str) -> Iterator[None]:
        """Ask the other servers for a name first, and give it up for the one he had, `kept`, where it is not had."""
        with self._lock:
            holder = self._names.get(fold_name(name))
            gives_way = holder is not None and holder.away and self._owned.is_owner(name, member.verifier)
            rival = holder.state.token_hash if holder and holder.state and gives_way else b""
        try:
            ours = self._others.claim(name, hashed, rival)
            if ours:
                yield
        except (ProtocolError, JournalError):  # whose answer may have been lost, and not the claim
            self._others.disclaim(hashed, kept)
            raise
        if not ours:
            raise ProtocolError("name-taken", f"{name} is taken, or looks like a name that is; choose another name")

    def _show_notice(self, room: Room, text: str) -> None:
        self._show(room, Notice(text))
        self._others.show_notice(room.key, text)

    def _hold_place(self, row: SessionRow) -> None:
        """Have somebody be here, away, as he was when the server ended."""
        room = self._room_again(row.room, row.lock)
        self._open(room)
        member = Member(NullTransport(), room=room, last_active=self._uptime())
        state = self._states[row.token_hash] = state_of(row)
        self._seat(member, state, row.name, row.color)
        self._give_name(member)
        room.members[fold_name(row.name)] = member
        self._hold(member)

    def _let_the_lost_go(self) -> None:
        """Be the thread: wait for the end of the next grace, and let him leave who is still away then."""
        while (member := self._next_lost()) is not None:
            try:
                with self._step():
                    if member.away and not member.elsewhere:
                        self._leave(member, "lost")
            except Exception:  # noqa: BLE001  # a bug must not keep all others here for ever
                logger.exception("{!r} could not be let go", member.name)

    def _next_lost(self) -> Member | None:
        """Wait until somebody's grace is over and return him; None at the stop."""
        with self._changed:
            while not self._stopping:
                left = self._away[0][0] - self._uptime() if self._away else None
                if left is not None and left <= 0:
                    return self._away.popleft()[1]
                self._changed.wait(left)
        return None

    def _room_of(self, member: Member) -> Room:
        """Return the room of somebody who has a name; who was replaced by a later connection is nowhere."""
        if member.room is None:
            raise ProtocolError("not-allowed", member.farewell or "you are here on another connection")
        return member.room

    def _seat(self, member: Member, state: SessionState, name: str, color: str) -> None:
        member.name, member.color, member.state = name, color, state
        self._present[state.token_hash] = member
        state.verifier = member.verifier
        if not member.elsewhere:
            self._owned.claim_name(name, member.verifier)

    def _move(self, member: Member, room: Room, after: int | None = None) -> None:
        """Bring a member who is in no room to one."""
        self._open(room)
        room.members[fold_name(member.name)] = member
        member.room = room
        self._show_presence(room, Joined(room.name, self._now(), member.name, member.color))
        if not member.elsewhere:
            self._queue(Subscribe(member, room, len(room.members), after, self._locks.flags_of(room.key)))
        self._keep(member, room)

    def _return(self, member: Member, state: SessionState, token: str, key: str, seq: int) -> None:
        """Bring somebody back whom everybody saw leave, or whom this server has not seen since it started."""
        self._claim(member, state.name)
        self._seat(member, state, state.name, state.color)
        self._queue(SendWelcome(member, state.name, state.color, token))
        room = self._room_again(state.room, state.lock)
        self._move(member, room, seq if key == room.key else None)

    def _replace(self, before: Member, member: Member, token: str, key: str, seq: int) -> None:
        """Serve a member in the place of another, who is the same person; nobody sees it."""
        room = self._take_place(before, member)
        self._queue(SendWelcome(member, member.name, member.color, token))
        self._keep(member, room)
        after = seq if key == room.key else None
        self._queue(Subscribe(member, room, len(room.members), after, self._locks.flags_of(room.key)))

    def _take_place(self, before: Member, member: Member) -> Room:
        """Put a member in the place of another, who is the same person; return the room in which that is."""
        room, state = before.room, before.state
        assert room is not None  # whoever is present is in a room
        assert state is not None  # and has a state
        before.room, before.away = None, False
        self._queue(Unsubscribe(before))
        self._queue(Finish(before, Bye("you are back on another connection").encode()))
        self._seat(member, state, before.name, before.color)
        member.room, member.last_active = room, before.last_active
        self._give_name(member)
        room.members[fold_name(member.name)] = member
        return room

    def _leave(self, member: Member, why: str, *, for_good: bool = False) -> None:
        room, state = member.room, member.state
        if room is None:
            return
        self._remove(member, why)
        del self._names[fold_name(member.name)]
        self._looks.remove(member.name, member)
        member.away = False
        assert state is not None  # whoever is in a room has one
        del self._present[state.token_hash]
        if for_good:
            self._keep(member, room, present=False, ended=True, why=why)
        elif not self._stopping:  # who is here at the stop is here after the start
            self._keep(member, room, present=False, why=why)

    def _keep(self, member: Member, room: Room, *, present: bool = True, ended: bool = False, why: str = "") -> None:
        if member.elsewhere:
            return  # the server that serves him does
        assert member.state is not None  # whoever is in a room has one
        lock = self._locks.id_of(room.key)
        where = (member.name, member.color, room.name)
        self._queue(StoreSession(member.state, *where, present, ended, lock, member.away, why))

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise ProtocolError("server-stopping", "the server is stopping; come back when it is up again")

    def _claim(self, member: Member, name: str) -> None:
        """Have `name` be this member's, and nobody's who looks the same; whoever had a name frees it himself.

        The owner of a name does not wait for the grace of a connection that he lost.
        """
        holder = self._names.get(fold_name(name))
        if holder is not None and holder.away and self._owned.is_owner(name, member.verifier):
            self._leave(holder, "lost")
            holder = None
        if holder not in (None, member):
            raise ProtocolError("name-taken", f"{name} is taken; choose another name")
        if other := self._looks.find_confusable(name, member):
            raise ProtocolError("name-taken", f"{name} looks like {other}, which is taken; choose another name")
        if holder is None:
            self._owned.check_available(name, member.verifier)
        self._names[fold_name(name)] = member
        self._looks.add(name, member)

    def _exchange_name(self, member: Member, room: Room, name: str, color: str) -> None:
        """Have a member bear another name, which is nobody else's, or the same in another spelling or colour."""
        if fold_name(member.name) != fold_name(name):
            del self._names[fold_name(member.name)]
        self._looks.remove(member.name, member)
        del room.members[fold_name(member.name)]
        member.name, member.color = name, color
        room.members[fold_name(name)] = member
        self._give_name(member)  # its looks once more: some may have been those of the old one, too

    def _give_name(self, member: Member) -> None:
        """Have a member bear the name that he or his other connection had, whoever else looks like him by now."""
        self._names[fold_name(member.name)] = member
        self._looks.add(member.name, member)

    def _new_room(self, member: Member, name: str) -> Room:
        """Return a room that `member` makes, not yet open."""
        limits, state = self._limits, member.state
        assert state is not None  # whoever is in a room has one
        if other := self._room_looks.find_confusable(name) or self._locks.find_confusable(name):
            raise mistakable(name, other)
        if len(self._rooms) >= limits.max_rooms:
            text = f"there are {limits.max_rooms} rooms, and no more may be; /list shows them, or try again later"
            raise ProtocolError("too-many", text)
        if self._made[state.token_hash] >= limits.max_rooms_per_member:
            text = f"{limits.max_rooms_per_member} rooms that you made are still there; use one of them"
            raise ProtocolError("too-many", text)
        return Room(name, fold_name(name), state.token_hash)

    def _room_again(self, name: str, lock: str) -> Room:
        """Return the room of somebody who was in it before, maybe not yet open: no limit keeps him out.

        Only a lock does behind which he never was; then it is the lobby.
        """
        key = fold_name(name)
        if (now := self._locks.find(key)) is not None:
            if now.id != lock:
                return self._rooms[LOBBY]
            now.entries += 1
        return self._rooms.get(key) or Room(name, key)

    def _open(self, room: Room) -> None:
        """Have a room be there, if it is not yet."""
        if room.key not in self._rooms:
            self._rooms[room.key] = room
            self._room_looks.add(room.name, room)
            self._made[room.maker] += 1

    def _shut(self, room: Room) -> None:
        del self._rooms[room.key]
        self._room_looks.remove(room.name, room)
        self._made[room.maker] -= 1
        if not self._made[room.maker]:
            del self._made[room.maker]

    def _remove(self, member: Member, why: str) -> None:
        """Take a member out of his room; a private room goes with its last member."""
        room, member.room = member.room, None
        if room is None:
            return
        del room.members[fold_name(member.name)]
        if not room.members and room.key != LOBBY:
            self._shut(room)
        self._queue(Unsubscribe(member))
        if not self._stopping:
            self._show_presence(room, Left(room.name, self._now(), member.name, member.color, why))

    def _show_presence(self, room: Room, event: Event) -> None:
        if len(room.members) <= PRESENCE_MEMBERS:
            self._show(room, event)

    def _show(self, room: Room, event: Event) -> None:
        self._queue(Broadcast(room, event))


def learn(state: SessionState, row: SessionRow) -> None:
    """Have a state be as another server, or the journal, knows it."""
    state.name, state.color, state.room, state.lock = row.name, row.color, row.room, row.lock
    state.accepted = max(state.accepted, row.accepted)


def state_of(row: SessionRow) -> SessionState:
    """Return what is known of a session."""
    where = (row.name, row.color, row.room)
    return SessionState(row.token_hash, *where, row.accepted, lock=row.lock, verifier=row.verifier)


def token_hash(token: str) -> bytes:
    """Return all that is kept of a token."""
    return hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=TOKEN_HASH_BYTES).digest()
