"""`/v1/inbound`."""
