"""Tests of whole programs that are killed and restarted."""
