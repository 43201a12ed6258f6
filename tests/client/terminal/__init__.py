"""Tests of hubbub.client.terminal."""
