"""Tests of hubbub.server.network."""
