"""Unknown replies."""
