"""The chat server with leases as short as a test: `python3 -m tests.cluster_server OPTIONS…`."""

import sys
from functools import partial

import chat_server
from server.cluster import cluster

LEASE_SECONDS = 1.0

if __name__ == "__main__":
    cluster.Cluster = partial(cluster.Cluster, lease_seconds=LEASE_SECONDS)  # type: ignore[assignment,misc]
    sys.exit(chat_server.main(sys.argv[1:]))
