"""Claims: which sessions a server serves, and which names these have, against all other servers."""

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
        self._released: dict[str, str] = {}  # by token hash, the skeletons that stay claimed: releases that failed

    def claim(self, token: str, name: str, rival: str) -> bool:
        """Claim a session for this server, and for the session a name with all that looks like it.

        Return whether that is granted. The session `rival` gives way.
        """
        with self._releasing:
            self._released.pop(token, None)
        granted, before = self._redis_client.run_script(scripts.CLAIM, token, rival, skeletons_as_text(name))
        if granted:
            self._note(token, before)
        return bool(granted)

    def claim_again(self, members: Sequence[tuple[str, str]]) -> list[bool]:
        """Claim the sessions and names of connected members, by token hash and name; return which are granted."""
        arguments = [text for token, name in members for text in (token, skeletons_as_text(name))]
        before, *granted = self._redis_client.run_script(scripts.CLAIM_AGAIN, *arguments)
        for (token, _), is_granted in zip(members, granted, strict=True):
            if is_granted:
                self._note(token, before)
        return list(map(bool, granted))

    def release(self, token: str, current: str) -> None:
        """Release what a session has claimed but the name `current`; without that, the session, too.

        What fails is done by `retry`.
        """
        with self._releasing:
            self._released[token] = skeletons_as_text(current)
            try:
                self._release(token)
            except JournalError:
                return  # it is still in the table
        with self._lock:
            self._since.pop(token, None)

    def retry(self, is_local: Callable[[bytes], bool]) -> None:
        """Release what could not be released before, but the sessions of members who are back here: `is_local`."""
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
        """Note that events were read up to this id, so that no older ones come."""
        position = _parse_id(event)
        with self._lock:
            while self._since and self._since[next(iter(self._since))] <= position:
                del self._since[next(iter(self._since))]


def skeletons_as_text(name: str) -> str:
    """Return the skeletons of a name as the scripts take them; none of no name."""
    return "\n".join(sorted(skeletons_of(name))) if name else ""


def _parse_id(id_: str) -> tuple[int, int]:
    """Return the id of an entry as it is compared."""
    milliseconds, _, number = id_.partition("-")
    return int(milliseconds), int(number)
