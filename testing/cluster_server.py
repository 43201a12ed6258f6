"""The chat server with short leases: `python3 -m testing.cluster_server OPTIONS…`."""

import sys
from functools import partial

from hubbub.server import cli as chat_server
from hubbub.server.cluster import node as cluster

LEASE_SECONDS = 1.0

if __name__ == "__main__":
    cluster.ClusterBackend = partial(cluster.ClusterBackend, lease_seconds=LEASE_SECONDS)  # type: ignore[assignment,misc]
    sys.exit(chat_server.main(sys.argv[1:]))
