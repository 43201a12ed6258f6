"""The connection to a server: addresses, transports, TLS trust and identity."""
