"""The chat server: sessions, commands, rooms, delivery, and the journal."""
