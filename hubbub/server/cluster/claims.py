"""Claims of this server in Redis: the sessions that it serves, and their names. No two servers have the same claim."""

import threading
from collections.abc import Callable, Sequence

from hubbub.server.access.confusables import skeletons_of
from hubbub.server.cluster import scripts
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.journal.journal import JournalError


class Claims:
    """The claims of one server. Any thread; `claim`, `claim_again` and `retry` raise JournalError."""

    def __init__(self, redis_client: RedisClient) -> None:
        self._redis_client = redis_client
        self._lock = threading.Lock()  # guards the one below
        self._since: dict[str, tuple[int, int]] = {}  # by token hash: the last event before the claim; the oldest first
        self._releasing = threading.Lock()  # held during a release, and guards the one below
        self._released: dict[str, str] = {}  # releases that failed: by token hash, the skeletons that stay claimed

    def claim(self, token: str, name: str, rival: str) -> bool:
        """Claim a session for this server, and a name and its confusable names for the session.

        Return whether both are granted. The session `rival` loses the name.
        """
        with self._releasing:
            self._released.pop(token, None)
        granted, before = self._redis_client.run_script(scripts.CLAIM, token, rival, skeletons_as_text(name))
        if granted:
            self._note(token, before)
        return bool(granted)

    def claim_again(self, members: Sequence[tuple[str, str]]) -> list[bool]:
        """Claim the sessions and names of connected members, pairs of token hash and name; return which are granted."""
        arguments = [text for token, name in members for text in (token, skeletons_as_text(name))]
        before, *granted = self._redis_client.run_script(scripts.CLAIM_AGAIN, *arguments)
        for (token, _), is_granted in zip(members, granted, strict=True):
            if is_granted:
                self._note(token, before)
        return list(map(bool, granted))

    def release(self, token: str, current: str) -> None:
        """Release all names of a session except `current`. If that is empty, release the session, too.

        After a failure `retry` repeats it.
        """
        with self._releasing:
            self._released[token] = skeletons_as_text(current)
            try:
                self._release(token)
            except JournalError:
                return  # `retry` repeats it
        with self._lock:
            self._since.pop(token, None)

    def retry(self, is_local: Callable[[bytes], bool]) -> None:
        """Repeat the releases that failed, except those of sessions that are at this server again: `is_local`."""
        with self._releasing:
            for token, skeletons in list(self._released.items()):
                if not skeletons and is_local(bytes.fromhex(token)):
                    del self._released[token]
                else:
                    self._release(token)

    def _release(self, token: str) -> None:
        self._redis_client.run_script(scripts.RELEASE, token, self._released[token])
        del self._released[token]

    def _note(self, token: str, before: bytes) -> None:
        with self._lock:
            self._since.pop(token, None)
            self._since[token] = _parse_id(before.decode())

    def is_outdated(self, token: str, event: str) -> bool:
        """Return whether the event with this id is older than this server's claim on the session, and so void."""
        with self._lock:
            return token in self._since and _parse_id(event) <= self._since[token]

    def note_read(self, event: str) -> None:
        """Record that all events up to this id were read, so claims before it need no check any more."""
        position = _parse_id(event)
        with self._lock:
            while self._since and self._since[next(iter(self._since))] <= position:
                del self._since[next(iter(self._since))]


def skeletons_as_text(name: str) -> str:
    """Return the skeletons of a name in the form that the scripts need; empty without a name."""
    return "\n".join(sorted(skeletons_of(name))) if name else ""


def _parse_id(id_: str) -> tuple[int, int]:
    """Return the id of an entry in a form that can be compared."""
    milliseconds, _, number = id_.partition("-")
    return int(milliseconds), int(number)
