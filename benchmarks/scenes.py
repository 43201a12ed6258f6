"""The scenes that are measured, each a row, and their goals."""

from dataclasses import dataclass

OURS, OURS_TLS, BASELINE, NAIVE = "ours", "ours-tls", "baseline", "naive"
PEERS = ("ngircd", "inspircd", "irc", "miniircd", NAIVE)
ALL = (OURS, BASELINE, *PEERS)
_MANY_CLIENTS = (OURS, BASELINE, "ngircd", "inspircd", NAIVE)  # the others cannot serve more than 1,000
_TLS = (OURS, OURS_TLS)
_SLOW_JOINERS = ("ngircd", "irc", "miniircd", NAIVE)  # 10 s for 1,000 clients in one channel


@dataclass(frozen=True, slots=True)
class Goal:
    """`metric` of `subject` is at least, or at most, `factor` times that of `against`.

    `against` is a system, `peers` for the best of them, or a system with CONTROL_SUFFIX. Against nothing, `factor` is
    the goal itself, in the unit of the metric. Without a factor, the ratio is only shown.
    """

    metric: str
    factor: float | None
    against: str = ""
    at_most: bool = False
    subject: str = OURS


@dataclass(frozen=True, slots=True)
class Scene:
    """A load on a server, and the systems and goals that it is measured with."""

    name: str
    description: str
    kind: str  # the function of the load generator that runs it
    clients: int
    rooms: int = 1
    flooders: int = 0  # in each room
    per_second: int = 0  # messages in all, of a paced scene
    stalled: int = 0  # clients that never read
    churn: int = 0  # additional clients that join and leave each second
    own_clock: bool = False  # a delay ends when the load generator reads; TLS has no other time
    control: str = ""  # the same scene without what is measured; it runs in turns with this one
    systems: tuple[str, ...] = ALL
    only_long: tuple[str, ...] = ("irc", NAIVE)  # systems left out with --short
    one_short_run: bool = False  # --short runs it once
    goals: tuple[Goal, ...] = ()


CONTROL_SUFFIX = " without"  # after the name of a system that runs the scene `control`
MESSAGES, DELIVERIES = "messages_per_second", "deliveries_per_second"
CPU, P99, MEMORY = "cpu_us_per_delivery", "delay_p99_ms", "memory_bytes_per_client"
MEMORY_GOAL = Goal(MEMORY, 25_000, at_most=True)
_FLOOD = (Goal(DELIVERIES, 4, "peers"), Goal(DELIVERIES, 0.8, BASELINE))
_PACED = (Goal(CPU, 1, "peers", at_most=True), Goal(P99, 1, "peers", at_most=True))

SCENES = {
    scene.name: scene
    for scene in (
        Scene("flood-100", "one room of 100, 4 flood it", "flood", 100, flooders=4, goals=_FLOOD),
        Scene(
            "flood-1000",
            "one room of 1,000, 4 flood it",
            "flood",
            1_000,
            flooders=4,
            only_long=_SLOW_JOINERS,
            goals=_FLOOD,
        ),
        Scene(
            "rooms",
            "100 rooms of 10, one floods each",
            "flood",
            1_000,
            rooms=100,
            flooders=1,
            only_long=("irc", "miniircd", NAIVE),
            goals=(Goal(DELIVERIES, 1.2, "peers"),),
        ),
        Scene("paced-100", "one room of 100, 500 messages/s", "paced", 100, per_second=500, goals=_PACED),
        Scene(
            "paced-1000",
            "one room of 1,000, 50 messages/s",
            "paced",
            1_000,
            per_second=50,
            only_long=_SLOW_JOINERS,
            goals=_PACED,
        ),
        Scene(
            "rooms-paced",
            "100 rooms of 10, 2,000 messages/s in all",
            "paced",
            1_000,
            rooms=100,
            per_second=2_000,
            only_long=("irc", "miniircd", NAIVE),
            goals=_PACED,
        ),
        Scene(
            "stalled",
            "flood-100, 5 members never read",
            "flood",
            100,
            flooders=4,
            stalled=5,
            control="flood-100",
            systems=(OURS, "ngircd", "inspircd", NAIVE),
            only_long=("ngircd", "inspircd", NAIVE),
            goals=(Goal(MESSAGES, 0.9, OURS + CONTROL_SUFFIX),),
        ),
        Scene(
            "churn",
            "flood-100, 200 other clients connect and leave each second",
            "flood",
            100,
            flooders=4,
            churn=200,
            control="flood-100",
            systems=(OURS, "ngircd", "inspircd", NAIVE),
            only_long=("ngircd", "inspircd", NAIVE),
            goals=(Goal(DELIVERIES, 0.9, OURS + CONTROL_SUFFIX),),
        ),
        Scene(
            "storm",
            "10,000 clients connect, receive one message, and leave",
            "storm",
            10_000,
            systems=_MANY_CLIENTS,
            only_long=("ngircd", "inspircd", NAIVE),
            one_short_run=True,
            goals=(
                Goal("join_seconds", 5, at_most=True),
                Goal("to_all_seconds", 1, at_most=True),
                MEMORY_GOAL,
            ),
        ),
        Scene(
            "catch-up",
            "1,000 clients reconnect at once, 1,000 lines behind",
            "catch-up",
            1_000,
            one_short_run=True,
            systems=(OURS,),
            goals=(Goal("lines_per_second", 1e6),),
        ),
        Scene(
            "tls-flood-100",
            "flood-100 through TLS",
            "flood",
            100,
            flooders=4,
            systems=_TLS,
            goals=(Goal(DELIVERIES, None, OURS, subject=OURS_TLS), Goal(CPU, None, OURS, subject=OURS_TLS)),
        ),
        Scene(
            "tls-paced-100",
            "paced-100 through TLS",
            "paced",
            100,
            per_second=500,
            own_clock=True,
            systems=_TLS,
            goals=(Goal(CPU, None, OURS, subject=OURS_TLS), Goal(P99, None, OURS, subject=OURS_TLS)),
        ),
        Scene(
            "idle",
            "10,000 silent clients, in no room of IRC",
            "idle",
            10_000,
            rooms=0,
            systems=_MANY_CLIENTS,
            only_long=("ngircd", "inspircd", NAIVE),
            one_short_run=True,
            goals=(Goal("cpu_share", 0.001, at_most=True), MEMORY_GOAL),
        ),
    )
}
