"""Connections: transports, certificates, and how many connections and attempts an address may have."""
