"""Findings, silences and alerts in SQLite."""
