"""Findings, silences and alerts."""
