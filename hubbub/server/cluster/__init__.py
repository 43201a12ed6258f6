"""Many servers, one chat: what they share stands in Redis."""
