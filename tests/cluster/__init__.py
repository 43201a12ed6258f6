"""Tests of hubbub.server.cluster, on a real Redis."""
