"""Events become notifications on the user interface."""

import pytest

from hubbub.client.display import Display
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.notification import Age, Notification
from hubbub.protocol import Said
from tests.client.session_driver import FakeUi


class FailingUi(FakeUi):
    """A user interface that can show nothing."""

    def __init__(self, error: OSError) -> None:
        super().__init__(interactive=False)
        self._error = error

    def show(self, notification: Notification) -> None:
        """Raise the error."""
        raise self._error


def said(name: str, text: str) -> Said:
    """Return a message in the lobby."""
    return Said("lobby", 1, 0, name, "red", text)


def test_event_is_classified_and_shown() -> None:
    """A mention rings; a past one does not."""
    ui = FakeUi(interactive=True)
    display = Display(ui, Highlights(), pytest.fail)
    display.show_event(said("bob", "alice?"), me="alice")
    display.show_event(said("bob", "alice?"), Age.PAST, "alice")
    assert [(each.mention, each.alert) for each in ui.notifications] == [(True, True), (True, False)]


def test_ignored_user_is_not_shown() -> None:
    """Others are."""
    ui = FakeUi(interactive=True)
    display = Display(ui, Highlights(ignored=["bob"]), pytest.fail)
    display.show_event(said("bob", "one"))
    display.show_event(said("carol", "two"))
    assert ui.next_line().endswith("carol: two")
    assert ui.shown.empty()


def test_refusals_are_counted() -> None:
    """Other messages of the client are not."""
    ui = FakeUi(interactive=True)
    display = Display(ui, Highlights(), pytest.fail)
    display.tell("one")
    display.refuse("two")
    assert [ui.next_line(), ui.next_line()] == ["--- one", "!!! two"]
    assert display.refused_lines == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [(BrokenPipeError(), ""), (OSError(28, "No space left on device"), "nothing more can be shown: No space left")],
)
def test_failure_is_reported(error: OSError, reason: str) -> None:
    """Without a reason if the reader of a pipe is gone."""
    reasons: list[str] = []
    Display(FailingUi(error), Highlights(), reasons.append).tell("text")
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)
    assert bool(reasons[0]) == bool(reason)
