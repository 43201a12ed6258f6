"""Tests of hubbub.client.network."""
