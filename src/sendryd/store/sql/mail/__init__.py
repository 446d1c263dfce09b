"""Messages, deliveries and events in SQLite."""
