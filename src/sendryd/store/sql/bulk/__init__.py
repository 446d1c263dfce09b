"""Changes of many deliveries at once in SQLite."""
