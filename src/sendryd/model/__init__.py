"""Frozen value types shared by every layer above the wire and below the daemons."""
