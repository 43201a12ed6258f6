"""A clock that a test sets."""


class FakeClock:
    """A callable clock that stands still at `now` seconds until the test changes it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
