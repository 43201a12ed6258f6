"""Tests of hubbub.server.access."""
