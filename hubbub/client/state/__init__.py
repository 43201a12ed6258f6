"""What the client knows: unsent lines, rooms, members, highlights and settings."""
