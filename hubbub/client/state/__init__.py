"""The client's state: unsent lines, rooms, members, highlights and settings."""
