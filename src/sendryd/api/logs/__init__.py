"""`/v1/logs` and the log of API requests."""
