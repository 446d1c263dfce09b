"""Decisions: inputs in, a value out. No I/O, no clock, no chance."""
