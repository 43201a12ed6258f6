"""The user interface of a terminal: a line editor, with the lines of the chat above it."""
