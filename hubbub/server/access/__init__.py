"""Who may do what: passwords, name ownership, moderation, room keys and rate limits."""
