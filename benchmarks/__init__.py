"""Measurements of the servers and of the client."""
