"""Tests of hubbub.server."""
