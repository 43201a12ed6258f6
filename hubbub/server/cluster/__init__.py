"""Many servers of one chat, which share its data in Redis."""
