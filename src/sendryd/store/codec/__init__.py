"""Converts model values to rows and back, for all backends. A row is a mapping from column names to stored values."""
