"""What is measured: each scene as a row, and the goals that it has."""

from dataclasses import dataclass

OURS, FLOOR, CLASSIC = "ours", "floor", "classic"
PEERS = ("ngircd", "inspircd", "irc", "miniircd", CLASSIC)
ALL = (OURS, FLOOR, *PEERS)


@dataclass(frozen=True, slots=True)
class Goal:
    """`metric` of ours is at least, or at most, `factor` times that of `against`: the best peer, the floor, a scene.

    Against nothing, `factor` is the goal itself, in the unit of the metric.
    """

    metric: str
    factor: float
    against: str = ""
    at_most: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is where, who speaks, and how."""

    name: str
    about: str
    kind: str  # which function of the load generator plays it
    clients: int
    rooms: int = 1
    flooders: int = 0  # in each room
    per_second: int = 0  # messages in all, of a paced scene
    systems: tuple[str, ...] = ALL
    goals: tuple[Goal, ...] = ()


DELIVERIES, CPU, P99 = "deliveries_per_second", "cpu_us_per_delivery", "delay_p99_ms"
_FLOOD = (Goal(DELIVERIES, 4, "peers"), Goal(DELIVERIES, 0.8, FLOOR))
_PACED = (Goal(CPU, 1, "peers", at_most=True), Goal(P99, 1, "peers", at_most=True))

SCENES = {
    scene.name: scene
    for scene in (
        Scene("flood-100", "one room of 100, 4 flood it", "flood", 100, flooders=4, goals=_FLOOD),
        Scene("flood-1000", "one room of 1,000, 4 flood it", "flood", 1_000, flooders=4, goals=_FLOOD),
        Scene(
            "rooms",
            "100 rooms of 10, one floods each",
            "flood",
            1_000,
            rooms=100,
            flooders=1,
            goals=(Goal(DELIVERIES, 1.2, "peers"),),
        ),
        Scene("paced-100", "one room of 100, 500 messages/s", "paced", 100, per_second=500, goals=_PACED),
        Scene("paced-1000", "one room of 1,000, 50 messages/s", "paced", 1_000, per_second=50, goals=_PACED),
        Scene(
            "rooms-paced",
            "100 rooms of 10, 2,000 messages/s in all",
            "paced",
            1_000,
            rooms=100,
            per_second=2_000,
            goals=_PACED,
        ),
    )
}
