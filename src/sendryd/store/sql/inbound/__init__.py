"""Mail that came in."""
