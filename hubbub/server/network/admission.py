"""The gate: whether a connection may come in, decided before anything is spent on it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from hubbub.protocol import ProtocolError
from hubbub.server.access.limits import Bucket, Limits, take_or_refuse
from hubbub.server.network.subnets import origin_of, parse_address

ORIGINS = 1_000  # addresses that are remembered before those are looked for that may be forgotten


@dataclass(slots=True)
class Origin:
    """An address as the gate knows it."""

    connects: Bucket
    people: int = 0  # its connections that are here


@dataclass(eq=False, slots=True)
class Admission:
    """What a connection that was let in counts for. The gate's lock guards it."""

    origin: Origin | None  # None where addresses do not count
    unnamed: bool = True
    here: bool = True


class ConnectionLimiter:
    """Counts who is connected. Any thread may call any method."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        *,
        refuse_banned: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`refuse_banned` is called with an address and raises ProtocolError where it is banned."""
        self._limits = limits
        self._refuse_banned = refuse_banned
        self._clock = clock
        self._lock = Lock()  # guards all below, and of each Admission and Origin everything
        self._people = 0
        self._unnamed = 0
        self._origins: dict[str, Origin] = {}
        self._forget_at = ORIGINS

    def let_in(self, address: str) -> Admission:
        """Count a connection from `address`.

        Raises ProtocolError `server-full`, `too-many`, `too-fast`, or what `refuse_banned` raises.
        """
        self._refuse_banned(address)
        exempt = self._limits.loopback_exempt and parse_address(address).is_loopback
        with self._lock:
            self._refuse_when_full()
            admission = Admission(None if exempt else self._count(origin_of(address)))
            self._people += 1
            self._unnamed += 1
        return admission

    def note_name(self, admission: Admission) -> None:
        """Note that one who was let in has said who he is. Idempotent."""
        with self._lock:
            self._unnamed -= admission.unnamed
            admission.unnamed = False

    def let_go(self, admission: Admission) -> None:
        """Note that one who was let in is gone. Idempotent."""
        self.note_name(admission)
        with self._lock:
            if not admission.here:
                return
            admission.here = False
            self._people -= 1
            if admission.origin is not None:
                admission.origin.people -= 1

    def _refuse_when_full(self) -> None:
        limits = self._limits
        if self._people >= limits.clients:
            raise ProtocolError("server-full", f"{limits.clients} people are here, and no more fit; try again later")
        if self._unnamed >= limits.unnamed:
            raise ProtocolError(
                "server-full", f"{limits.unnamed} newcomers have yet to say who they are; try again in a minute"
            )

    def _count(self, key: str) -> Origin:
        """Count a connection of one address."""
        limits = self._limits
        origin = self._origins.get(key) or self._remember(key)
        if origin.people >= limits.clients_per_address:
            raise ProtocolError(
                "too-many",
                f"{limits.clients_per_address} people from your address are here, and no more fit; "
                "try again when one has left",
            )
        take_or_refuse(origin.connects, f"an address may connect {limits.connects_per_second:g} times a second")
        origin.people += 1
        return origin

    def _remember(self, key: str) -> Origin:
        if len(self._origins) >= self._forget_at:
            self._origins = {key: origin for key, origin in self._origins.items() if not _is_forgettable(origin)}
            self._forget_at = 2 * len(self._origins) + ORIGINS  # so that looking through them stays rare
        limits = self._limits
        bucket = Bucket(limits.connects_per_second, limits.clients_per_address, self._clock)
        origin = self._origins[key] = Origin(bucket)
        return origin


def _is_forgettable(origin: Origin) -> bool:
    return not origin.people and origin.connects.full
