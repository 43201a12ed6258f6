"""Whole programs, killed and restarted."""
