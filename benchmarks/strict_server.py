"""chat_server.py with its per-address limits on loopback too: `python3 -m benchmarks.strict_server OPTIONS…`."""

import argparse
import dataclasses
import sys

from hubbub.server import cli as chat_server
from hubbub.server.access.limits import Limits
from hubbub.server.options import limits_of


def strict_limits_of(options: argparse.Namespace) -> Limits:
    """Return the limits that the options ask for, with no address exempt."""
    return dataclasses.replace(limits_of(options), loopback_exempt=False)


if __name__ == "__main__":
    chat_server.limits_of = strict_limits_of  # type: ignore[attr-defined]
    sys.exit(chat_server.main())
