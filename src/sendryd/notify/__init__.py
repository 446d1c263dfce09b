"""Webhooks out: what the outbox owes is posted, signed, and tried again."""
