"""Programs that some tests need and that pip does not install."""

import os
import shutil


def may_skip_without(program: str) -> bool:
    """Return whether a test that needs `program` may be skipped: it is not installed, and this is not CI."""
    return shutil.which(program) is None and os.environ.get("CI") != "true"
