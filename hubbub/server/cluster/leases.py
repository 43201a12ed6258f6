"""What a server has claimed of all others: whose sessions it serves, and whose names those are."""

import threading
from collections.abc import Callable, Sequence

from hubbub.server.access.confusables import skeletons_of
from hubbub.server.cluster import scripts
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.journal.journal import JournalError


class Leases:
    """The claims of one server. Any thread; `claim`, `take_back` and `retry` raise JournalError."""

    def __init__(self, link: RedisClient) -> None:
        self._link = link
        self._lock = threading.Lock()  # guards the one below
        self._since: dict[str, tuple[int, int]] = {}  # by the token's hash: the news before the claim; the oldest first
        self._giving_up = threading.Lock()  # held while Redis is told so, and guards the one below
        self._given_up: dict[str, str] = {}  # by the token's hash, the looks to keep: Redis could not be told yet

    def claim(self, token: str, name: str, rival: str) -> bool:
        """Have a session be served here, and a name with all that looks like it be its own; return whether it is."""
        with self._giving_up:
            self._given_up.pop(token, None)
        ours, before = self._link.run(scripts.CLAIM, token, rival, looks_as_text(name))
        if ours:
            self._note(token, before)
        return bool(ours)

    def take_back(self, people: Sequence[tuple[str, str]]) -> list[bool]:
        """Claim sessions and names anew, given as tokens' hashes and names; return which are ours still, or again."""
        arguments = [text for token, name in people for text in (token, looks_as_text(name))]
        before, *ours = self._link.run(scripts.TAKE_BACK, *arguments)
        for (token, _), is_ours in zip(people, ours, strict=True):
            if is_ours:
                self._note(token, before)
        return list(map(bool, ours))

    def disclaim(self, token: str, name: str) -> None:
        """Give up what was claimed but `name`; without one, give up the session as well. Where that fails, `retry`."""
        with self._giving_up:
            self._given_up[token] = looks_as_text(name)
            try:
                self._give_up(token)
            except JournalError:
                return  # it is still in the table
        with self._lock:
            self._since.pop(token, None)

    def retry(self, serves: Callable[[bytes], bool]) -> None:
        """Give up what could not be given up before, but the sessions of those whom this server `serves`."""
        with self._giving_up:
            for token, looks in list(self._given_up.items()):
                if not looks and serves(bytes.fromhex(token)):
                    del self._given_up[token]
                else:
                    self._give_up(token)

    def _give_up(self, token: str) -> None:
        self._link.run(scripts.DISCLAIM, token, self._given_up[token])
        del self._given_up[token]

    def _note(self, token: str, before: bytes) -> None:
        with self._lock:
            self._since.pop(token, None)
            self._since[token] = _place(before.decode())

    def is_outdated(self, token: str, news: str) -> bool:
        """Return whether the news with this id are older than our claim on a session: they are not true any more."""
        with self._lock:
            return token in self._since and _place(news) <= self._since[token]

    def read(self, news: str) -> None:
        """Note that the news were read up to this id: none come any more that are older."""
        place = _place(news)
        with self._lock:
            while self._since and self._since[next(iter(self._since))] <= place:
                del self._since[next(iter(self._since))]


def looks_as_text(name: str) -> str:
    """Return the looks of a name as the scripts take them; none of no name."""
    return "\n".join(sorted(skeletons_of(name))) if name else ""


def _place(id_: str) -> tuple[int, int]:
    """Return the id of an entry as it is compared."""
    milliseconds, _, number = id_.partition("-")
    return int(milliseconds), int(number)
