"""Webhooks and the outbox."""
