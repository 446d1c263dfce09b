"""Templates in SQLite."""
