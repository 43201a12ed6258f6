"""The delivery thread: it numbers lines, stores them, and fans them out."""
