"""Webhooks: posts notifications from the outbox, signed, with retries."""
