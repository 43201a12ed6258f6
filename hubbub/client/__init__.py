"""What only the client needs: the connection, the session on it, what it shows and where."""
