"""Unknown replies, in SQLite."""
