"""Presence: holds the place of a member whose connection is lost until they resume or their grace ends."""

import threading
import time
from collections import deque
from collections.abc import Callable

from loguru import logger

from hubbub.protocol import LOBBY, ProtocolError, fold_name
from hubbub.server.access.limits import Limits
from hubbub.server.access.moderation import Moderation
from hubbub.server.access.ownership import NameOwnership
from hubbub.server.backend import Backend
from hubbub.server.delivery.transport import NullTransport
from hubbub.server.rooms.directory import Directory
from hubbub.server.rooms.membership import hash_token
from hubbub.server.rooms.name_claims import NameClaims
from hubbub.server.rooms.room import Member, SessionState


class Presence:
    """Absent members and sessions that are resumed. Any thread, but `start` and `stop` are for one.

    Its own thread removes absent members when their grace ends. Lock order: the directory's, then this one's.
    """

    def __init__(
        self,
        directory: Directory,
        claims: NameClaims,
        limits: Limits,
        ownership: NameOwnership,
        moderation: Moderation,
        backend: Backend,
        *,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        """`uptime` gives seconds, for the grace."""
        self._directory = directory
        self._claims = claims
        self._grace_seconds = limits.grace_seconds
        self._ownership = ownership
        self._moderation = moderation
        self._backend = backend
        self._uptime = uptime
        self._lock = threading.Lock()  # guards the two below
        self._changed = threading.Condition(self._lock)  # notified when the first grace begins, and at the stop
        self._absent: deque[tuple[float, Member]] = deque()  # with the time at which each leaves, earliest first
        self._stopping = False
        self._thread = threading.Thread(target=self._expire_absent, name="grace")  # joined by stop

    def start(self) -> None:
        """Hold the places of the members of the last run, and start the thread. Raises JournalError."""
        states = self._backend.held_sessions()
        with self._directory.step():
            for state in states:
                self.hold_session(state)
        self._thread.start()

    def stop(self) -> None:
        """Close the directory, and join the thread. Idempotent."""
        self._directory.close()
        with self._lock:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    # --------------------------------------------------------------------------------------------- grace

    def hold_place(self, member: Member) -> None:
        """Hold the place of a member whose connection is lost until the grace ends. Idempotent."""
        with self._directory.step():
            if member.room is None or member.absent:
                return
            if not self._grace_seconds or self._directory.closed:
                self._directory.leave(member, "lost")
                return
            self._directory.unsubscribe(member)
            self._hold(member)
            self._directory.store(member)  # and with it when they were last seen

    def hold_session(self, state: SessionState) -> None:
        """Hold the place of a session without a connection. Part of a step."""
        room = self._directory.reopen_room(state.room, state.room_key_id)
        member = Member(NullTransport(), verifier=state.verifier, last_active=self._uptime())
        self._directory.register(member, state, state.name, state.color)
        self._directory.put_in_room(member, room, shown=False)
        self._hold(member)

    def _hold(self, member: Member) -> None:
        member.absent = True
        with self._lock:
            self._absent.append((self._uptime() + self._grace_seconds, member))
            if len(self._absent) == 1:  # else the thread waits for an earlier end
                self._changed.notify_all()

    def _expire_absent(self) -> None:
        """Run the thread: at the end of each grace, remove the member if they are still absent."""
        while (member := self._wait_for_end()) is not None:
            try:
                with self._directory.step():
                    if member.absent:
                        self._directory.leave(member, "lost")
            except Exception:  # noqa: BLE001  # a bug must not hold all other places for ever
                logger.exception("cannot remove {!r} at the end of the grace", member.name)

    def _wait_for_end(self) -> Member | None:
        """Wait until a member's grace ends and return them; None at the stop."""
        with self._lock:
            while not self._stopping:
                left = self._absent[0][0] - self._uptime() if self._absent else None
                if left is not None and left <= 0:
                    return self._absent.popleft()[1]
                self._changed.wait(left)
        return None

    # --------------------------------------------------------------------------------------------- resume

    def resume(self, member: Member, token: str, key: str, seq: int) -> Member | None:
        """Resume the session of `token` for a member without a name, with the lines after `seq` if it is in room `key`.

        Return the member that they replace, if there is one: the caller ends that connection. Raises ProtocolError
        `resume-unknown`, `name-taken`, `not-allowed`, `server-stopping`, and JournalError.
        """
        state = self._find_session(hash_token(token))
        member.verifier = member.verifier or state.verifier
        self._backend.prepare_room(fold_name(state.room), seq if key == fold_name(state.room) else 0)
        self._backend.prepare_room(LOBBY)
        self._moderation.refuse_banned(state.name)
        with self._claims.claim(member, state.name, state.token_hash):
            self._directory.refuse_when_closed()
            self._moderation.refuse_banned(state.name)  # once more: the claim may have waited
            before = self._directory.sessions.get(state.token_hash)
            if before is None:
                self._return(member, state, token, key, seq)
            else:
                self._replace(before, member, token, key, seq)
        return before

    def _find_session(self, token_hash: bytes) -> SessionState:
        with self._directory.lock:
            state = self._directory.states.get(token_hash)
        state = self._backend.restore_session(token_hash, state)
        if state is None or state.ended:
            raise ProtocolError(
                "resume-unknown", "this session has ended or is not known here; type /name NAME [COLOR]"
            )
        with self._directory.lock:
            return self._directory.states.setdefault(token_hash, state)

    def _return(self, member: Member, state: SessionState, token: str, key: str, seq: int) -> None:
        """Sign in a member again who has left, or was not here since the server started."""
        self._claims.check(member, state.name)
        self._directory.register(member, state, state.name, state.color)
        self._ownership.claim_name(state.name, member.verifier, member.subnet)
        self._directory.send_welcome(member, token)
        room = self._directory.reopen_room(state.room, state.room_key_id)
        self._directory.enter(member, room, seq if key == room.key else None)

    def _replace(self, before: Member, member: Member, token: str, key: str, seq: int) -> None:
        """Replace the earlier connection of a member, or the place that is held. No one sees it."""
        room = before.room
        assert room is not None
        self._directory.replace(before, member)
        self._ownership.claim_name(member.name, member.verifier, member.subnet)
        self._directory.send_welcome(member, token)
        self._directory.store(member)
        self._directory.subscribe(member, seq if key == room.key else None)
