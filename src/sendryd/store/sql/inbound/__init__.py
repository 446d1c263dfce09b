"""Mail that came in, in SQLite."""
