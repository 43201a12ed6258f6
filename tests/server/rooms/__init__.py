"""Tests of hubbub.server.rooms."""
