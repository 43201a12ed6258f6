"""Tests of hubbub.client.state."""
