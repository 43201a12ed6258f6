"""chat_server.py whose limits by address count for this machine, too: `python3 -m benchmarks.strict_server …`."""

import argparse
import dataclasses
import sys

from hubbub.server import cli as chat_server
from hubbub.server.access.limits import Limits
from hubbub.server.options import limits_of


def strict_limits_of(options: argparse.Namespace) -> Limits:
    """Return the limits that the options ask for, with nobody exempt."""
    return dataclasses.replace(limits_of(options), loopback_exempt=False)


if __name__ == "__main__":
    chat_server.limits_of = strict_limits_of  # type: ignore[attr-defined]
    sys.exit(chat_server.main())
