"""Recovery: brings this server and Redis to the same state after the lease ran out or Redis lost data."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from loguru import logger

from hubbub.server.cluster import scripts
from hubbub.server.cluster.claims import Claims
from hubbub.server.cluster.events import EventHandler
from hubbub.server.cluster.facts import SharedFacts
from hubbub.server.cluster.lease_keeper import LeaseKeeper
from hubbub.server.cluster.outbound import token_hash
from hubbub.server.cluster.redis_client import RedisClient
from hubbub.server.cluster.remote_members import RemoteMembers
from hubbub.server.cluster.subscriptions import Subscriptions
from hubbub.server.rooms.room import Member

T = TypeVar("T")
MEMBERS_AT_ONCE = 100  # claimed again in one script
ROOMS_AT_ONCE = 1_000  # whose numbers are raised in one script


class Recovery:
    """Restores the data of this server in Redis. For the follower's thread."""

    def __init__(
        self,
        redis_client: RedisClient,
        identity: str,
        subscriptions: Subscriptions,
        claims: Claims,
        remote_members: RemoteMembers,
        facts: SharedFacts,
        events: EventHandler,
        lease_keeper: LeaseKeeper,
    ) -> None:
        """`identity` is the identity of the chat."""
        self._redis_client = redis_client
        self._identity = identity
        self._subscriptions = subscriptions
        self._claims = claims
        self._remote_members = remote_members
        self._facts = facts
        self._events = events
        self._lease_keeper = lease_keeper
        self.lapses_recovered = 0

    def recover(self) -> None:
        """If the lease has run out since, claim the members here again, and load the others. Raises JournalError."""
        if (lapses := self._lease_keeper.lapses) == self.lapses_recovered:
            return
        self._raise_numbers()
        is_empty = self._redis_client.open_chat(self._identity)
        if is_empty:
            logger.error("Redis has lost everything; storing again what this server knows")
            self._facts.store_again()
        lost = self._claim_again()
        self._events.load_members(frozenset(map(token_hash, lost)), with_facts=not is_empty)
        for member in lost:
            self._remote_members.evict(member)
        self.lapses_recovered = lapses

    def _raise_numbers(self) -> None:
        """Raise the numbers in Redis to those that this server has seen, so that no SEQ is given twice."""
        for rooms in _in_parts(list(self._subscriptions.all_positions().items()), ROOMS_AT_ONCE):
            self._redis_client.run_script(scripts.RAISE_NUMBERS, *(argument for room in rooms for argument in room))

    def _claim_again(self) -> list[Member]:
        """Claim all members of this server; return those that lost their session or name."""
        lost = []
        for members in _in_parts(self._remote_members.list_local(), MEMBERS_AT_ONCE):
            granted = self._claims.claim_again([(token_hash(member).hex(), member.name) for member in members])
            for member, is_granted in zip(members, granted, strict=True):
                if is_granted:
                    self._remote_members.store_again(member)
                else:
                    lost.append(member)
        return lost


def _in_parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `items` in parts of `size`; the last one may be shorter."""
    return (items[at : at + size] for at in range(0, len(items), size))
