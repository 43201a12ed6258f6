"""The log file: where it is, who can read it, and what happens when it cannot be written."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from hubbub.log import LogFileError, configure_log


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Remove the log of the test at its end."""
    yield
    logger.remove()


def test_log_goes_to_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is made, and nothing is written to standard error."""
    path = tmp_path / "logs" / "chat.log"
    configure_log(path)
    logger.info("starting")
    assert path.read_text().endswith(" INFO     starting\n")
    assert capsys.readouterr().err == ""


def test_log_is_private(tmp_path: Path) -> None:
    """Only its owner can read it."""
    path = tmp_path / "chat.log"
    configure_log(path)
    logger.info("starting")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_log_that_cannot_be_written(tmp_path: Path) -> None:
    """The error has the path, the reason and the option."""
    with pytest.raises(LogFileError, match=f"cannot write the log {tmp_path}: .*; choose another with --log-file"):
        configure_log(tmp_path)
