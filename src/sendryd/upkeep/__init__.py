"""Periodic work: expiry, retention, re-verification of domains, a test key's scheduled mail, reports, lines of the mail log."""
