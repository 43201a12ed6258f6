"""The handlers of the commands, and their table."""

from collections.abc import Iterator

import pytest

from hubbub.protocol import COMMANDS, ROWS, CommandRow
from hubbub.server.access.passwords import ServerPassword
from hubbub.server.access.scrypt import HashedSecret
from hubbub.server.commands.base import HANDLERS
from hubbub.server.commands.chat import USAGE_COLUMNS
from hubbub.server.server import ChatServer
from testing.server import serving
from testing.wire_client import WireClient


def test_every_command_has_its_handler() -> None:
    """A row of the protocol's table without a handler, or a handler without a row, is a mistake."""
    assert set(HANDLERS) == set(ROWS)


def test_help_fits_a_screen() -> None:
    """All commands of an operator, the last line and the end take at most 24 lines of 80 columns."""
    rows = [row for row in COMMANDS.values() if not row.for_programs]
    lines = [f"/notice {row.usage:<{USAGE_COLUMNS}}  {row.help}" for row in rows]
    assert len(lines) + 2 <= 23
    assert [line for line in lines if len(line) > 80] == []


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving() as made:
        yield made


@pytest.mark.parametrize(
    "line", ["/kick bob", "/unban bob", "/bans", "/mute bob 5m", "/unmute bob", "/ban bob 1h", "/release bob"]
)
def test_operator_commands_are_refused_to_others(server: ChatServer, line: str) -> None:
    """Also where the target does not exist."""
    with WireClient(server.address, "carol red") as wire:
        wire.send(line)
        assert wire.read_line().startswith("/error not-allowed only operators may do that")


def typed(row: CommandRow) -> str:
    """Return a line for the command, with a value for each argument."""
    return f"/{row.word} {' '.join('1' for _ in row.layout.types)}".rstrip()


@pytest.mark.parametrize("row", COMMANDS.values(), ids=COMMANDS)
def test_a_command_before_the_name(server: ChatServer, row: CommandRow) -> None:
    """The table says which commands need no name."""
    with WireClient(server.address) as wire:
        wire.read_until("/hello")
        wire.send(typed(row), "/ping last")
        answers = wire.read_to_end() if row.word == "exit" else wire.read_until("/pong last")
        assert any(answer.startswith("/error name-needed") for answer in answers) != row.before_name


@pytest.mark.parametrize("row", COMMANDS.values(), ids=COMMANDS)
def test_a_command_before_the_password(row: CommandRow) -> None:
    """The table says which commands need no password."""
    with serving(password=ServerPassword(HashedSecret.create("hunter2"))) as server, WireClient(server.address) as wire:
        wire.read_until("/hello")
        wire.send(typed(row), "/exit")
        answers = wire.read_to_end()
        assert any(answer.startswith("/error password-needed") for answer in answers) != row.before_password
