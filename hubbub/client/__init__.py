"""The client: the connection, the session on it, and the user interfaces."""
