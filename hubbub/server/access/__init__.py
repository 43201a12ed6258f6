"""Access control: passwords, name ownership, moderation, room keys and rate limits."""
