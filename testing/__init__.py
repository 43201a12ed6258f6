"""Servers, clients, terminals and certificates that tests and benchmarks share."""
