"""Names, sessions and rooms: who has which name, and who is in which room."""
