"""`/v1/domains`."""
