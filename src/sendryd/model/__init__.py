"""Frozen value types, shared by all layers above the wire."""
