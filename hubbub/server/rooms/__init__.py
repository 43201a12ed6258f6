"""Who is called what, and who is in which room."""
