"""Tests of the benchmarks: each scene and each attack for a moment."""
