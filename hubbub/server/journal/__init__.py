"""The journal: every line that was said, stored in order."""
