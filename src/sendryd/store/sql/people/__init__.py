"""People, sessions and the audit in SQLite."""
