"""`/v1/analytics`."""
