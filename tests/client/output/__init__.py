"""Tests of hubbub.client.output."""
