"""The real terminal: the line editor, and what arrives above it."""
