"""Tests of hubbub.protocol."""
