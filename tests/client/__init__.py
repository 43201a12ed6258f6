"""Tests of hubbub.client."""
