"""chat_client.py as from another machine, with segments as on Ethernet: `python3 -m benchmarks.far_client …`."""

import socket
import sys

from benchmarks.attacker import SEGMENT_BYTES, foreign_address
from hubbub.client import cli as chat_client


class FarSocket(socket.socket):
    """A socket whose TCP has segments as on Ethernet."""

    def __init__(self, *given: int, **named: int) -> None:
        super().__init__(*given, **named)
        if self.family != socket.AF_UNIX:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
            self.bind((foreign_address(), 0))


if __name__ == "__main__":
    socket.socket = FarSocket  # type: ignore[assignment, misc]
    sys.exit(chat_client.main())
