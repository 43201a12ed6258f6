"""The journal stores lines, sessions and facts: in memory or in an SQLite file."""
