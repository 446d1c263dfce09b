"""Between model values and rows, for all backends: a row is a mapping from column names to stored values."""
