"""`/v1/regions`."""
