"""Connections: transports, the TLS certificate, and the admission of connections and attempts."""
