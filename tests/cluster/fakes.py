"""Stand-ins for Redis and the delivery, for tests of single modules."""

from typing import Any

from hubbub.server.cluster.redis_client import Argument
from hubbub.server.delivery.actions import Action
from hubbub.server.journal.journal import JournalError


class FakeRedisClient:
    """A Redis client that notes the scripts that are run, and gives prepared results."""

    def __init__(self, **results: Any) -> None:
        """`results` are by the name of the script; an exception is raised."""
        self.server = "here"
        self.results: dict[str, Any] = results
        self.calls: list[tuple[str, tuple[Argument, ...]]] = []
        self.away = False

    def key(self, name: str) -> str:
        return name

    def inbox_key(self, server: str) -> str:
        return f"inbox:{server}"

    def run_script(self, script: str, *arguments: Argument) -> Any:
        if self.away:
            raise JournalError("away")
        self.calls.append((script, arguments))
        return self.results.get(script)

    def execute(self, *command: Argument) -> Any:
        if self.away:
            raise JournalError("away")
        self.calls.append((str(command[0]), command[1:]))
        return self.results.get(str(command[0]))

    def last_seq(self, key: str) -> int:
        return int(self.results.get(key, 0))


class FakeDelivery:
    """A delivery that collects the actions."""

    def __init__(self) -> None:
        self.actions: list[Action] = []

    def enqueue(self, *actions: Action) -> None:
        self.actions.extend(actions)

    submit = enqueue

    def wake(self) -> None:
        """Do nothing."""
