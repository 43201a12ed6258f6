"""The log file of server and client: rotated, deleted when old, readable by its owner only."""

import os
from pathlib import Path

from loguru import logger

ROTATION = "500 KB"  # a log file of this size is renamed, and a new one begins
RETENTION = "1 week"  # older renamed files are deleted
MODE = 0o600  # the log says which users were here, and when
FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS} {level:<8} {message}"


class LogFileError(Exception):
    """The log cannot be written; the text says why and what to do."""


def configure_log(path: Path) -> None:
    """Log to `path` and nowhere else. Call it in the main thread, before others start. Raises LogFileError."""
    logger.remove()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        logger.add(
            path, format=FORMAT, rotation=ROTATION, retention=RETENTION, opener=_open, diagnose=False, backtrace=False
        )
    except OSError as error:
        reason = error.strerror or error
        raise LogFileError(f"cannot write the log {path}: {reason}; choose another with --log-file") from error


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, MODE)
