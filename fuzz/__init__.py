"""Fuzzing by hand, with atheris."""
