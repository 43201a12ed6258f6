"""Output of events: the interface of every front end, plain text and JSON lines."""
