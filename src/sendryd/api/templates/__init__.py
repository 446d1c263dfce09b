"""`/v1/templates`."""
