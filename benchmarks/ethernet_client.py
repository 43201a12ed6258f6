"""chat_client.py as on another machine, with Ethernet segments: `python3 -m benchmarks.ethernet_client OPTIONS…`."""

import socket
import sys

from benchmarks.attacker import SEGMENT_BYTES, random_loopback_address
from hubbub.client import cli


class RemoteSocket(socket.socket):
    """A socket whose TCP segments are as small as on Ethernet."""

    def __init__(self, *arguments: int, **options: int) -> None:
        super().__init__(*arguments, **options)
        if self.family != socket.AF_UNIX:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
            self.bind((random_loopback_address(), 0))


if __name__ == "__main__":
    socket.socket = RemoteSocket  # type: ignore[assignment, misc]
    sys.exit(cli.main())
