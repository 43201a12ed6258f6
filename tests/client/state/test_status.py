"""The status around the input line."""

import pytest

from hubbub.client.state.status import Status


@pytest.mark.parametrize(
    ("status", "row"),
    [
        (Status("lobby", None, "connected", (), 0), "lobby · connected"),
        (Status("lobby", 1, "connected", (), 0), "lobby · 1 person · connected"),
        (Status("lobby", 3, "connected", ("a",), 1), "lobby · 3 people · connected · 1 unsent"),
        (Status("lobby", 3, "connected", (), 0, 0.5), "lobby · 3 people · connected"),
        (Status("lobby", 3, "connected", (), 0, 0.62), "lobby · 3 people · connected · 620 ms"),
        (Status("lobby", 3, "connected", (), 0, 2.5), "lobby · 3 people · connected · 2.5 s"),
    ],
)
def test_status_line(status: Status, row: str) -> None:
    """It shows only what there is."""
    assert status.line() == row


def test_status_line_counts_mentions() -> None:
    """In singular and plural."""
    status = Status("lobby", None, "connected", (), 0)
    assert [status.line(1), status.line(2)] == ["lobby · connected · 1 mention", "lobby · connected · 2 mentions"]


def test_unsent_lines() -> None:
    """The first ones, and the number of the others."""
    assert Status("lobby", None, "", ("a", "b"), 2).unsent_lines == ["… a", "… b"]
    assert Status("lobby", None, "", ("a", "b"), 9).unsent_lines == ["… a", "… b", "… and 7 more"]
