"""Tests of hubbub.server.delivery."""
