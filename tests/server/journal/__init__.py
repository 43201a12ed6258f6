"""Tests of hubbub.server.journal."""
