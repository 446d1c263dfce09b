"""Accounts, API keys and sending domains in SQLite."""
