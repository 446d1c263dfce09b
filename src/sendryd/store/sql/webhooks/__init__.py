"""Webhooks and the outbox in SQLite."""
