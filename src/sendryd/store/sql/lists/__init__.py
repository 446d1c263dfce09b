"""Suppressions and unsubscribes."""
