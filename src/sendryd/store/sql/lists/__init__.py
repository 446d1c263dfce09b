"""Suppressions and unsubscribes in SQLite."""
