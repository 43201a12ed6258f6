"""The options of the client."""

import sys
from pathlib import Path

import pytest

from hubbub.client import options
from testing.client_runs import (
    run_client_in_pipe,
)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--name", "bot", "--color", "mauve"], "argument --color: choose one of these colours: black, white"),
        (["--name", "bot", "--room", "a b"], "argument --room: Choose 1-32 letters"),
        (["--name", "bot", "::1:x:"], "no server at"),
        (["--name", "bot", "host:x"], "'x' is not a port; use 1 to 65535"),
        (["--name", "bot", "host:0"], "'0' is not a port"),
        (["--name", "bot", "a..b:1"], "'a..b' is not a host name"),
        (["--name", "bot", "--since", "yesterday"], "argument --since: 'yesterday' is neither"),
        (["--colour"], "unrecognized arguments: --colour"),
        ([], "you cannot be asked for a name; give one with --name"),
    ],
)
def test_bad_option_is_one_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    """It says what is wrong, and the exit code is 2."""
    code, output, errors = run_client_in_pipe(tmp_path, *arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert told in errors


def test_default_log_is_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is written where the client is started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert options.default_log() == tmp_path / "hubbub" / "chat_client.log"
    assert options.default_log().parent != Path.cwd()
