"""Accounts, API keys and sending domains."""
