"""What the command lines of the server and the client share."""

import sys
from pathlib import Path

import pytest

from hubbub.options import BAD_OPTION, OptionParser, PasswordError, find_password, program_name
from hubbub.protocol import __version__


def test_password_comes_from_the_first_line_of_the_file_or_else_from_the_environment(tmp_path: Path) -> None:
    """A file comes before the environment; without both there is none."""
    path = tmp_path / "password"
    path.write_text("hunter2 and 3 \r\nmore\n")
    assert find_password(path, {"CHAT_PASSWORD": "other"}) == ("hunter2 and 3", str(path))
    assert find_password(None, {"CHAT_PASSWORD": " other"}) == ("other", "CHAT_PASSWORD")
    assert find_password(None, {"CHAT_PASSWORD": ""}) == ("", "CHAT_PASSWORD")
    assert find_password(None, {}) is None


def test_missing_password_file_is_named(tmp_path: Path) -> None:
    """The error says what to do."""
    with pytest.raises(PasswordError, match=r"cannot read the password file .*missing: .*; create it"):
        find_password(tmp_path / "missing", {})


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed on standard output."""
    with pytest.raises(SystemExit) as ended:
        OptionParser("program", "Do something.").parse_args(["--version"])
    assert (ended.value.code, capsys.readouterr()) == (0, (f"hubbub {__version__}\n", ""))


@pytest.mark.parametrize("option", ["--vers", "--unknown", "a\x1bb"])
def test_bad_option_is_one_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is cleaned, and says where the options are listed."""
    with pytest.raises(SystemExit) as ended:
        OptionParser("program", "Do something.").parse_args([option])
    error = capsys.readouterr().err
    assert ended.value.code == BAD_OPTION
    assert error == f"program: unrecognized arguments: {option.replace(chr(27), '')}; see program --help\n"


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("/src/chat_server.py", "chat_server.py"),
        ("/src/hubbub/server/__main__.py", "python3 -m hubbub.server"),
        ("/usr/local/bin/hubbub-server", "hubbub-server"),
        ("", "chat_server.py"),
    ],
)
def test_the_name_in_errors_is_the_one_that_was_typed(monkeypatch: pytest.MonkeyPatch, started: str, name: str) -> None:
    """A console command does not call itself a script."""
    monkeypatch.setattr(sys, "argv", [started])
    assert program_name("chat_server.py", "hubbub.server") == name
