"""What only the server needs."""
