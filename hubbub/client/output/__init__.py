"""How events are shown: the interface of every front end, plain text and JSON lines."""
