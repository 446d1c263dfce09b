"""Changes of many deliveries at once."""
