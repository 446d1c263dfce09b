"""Statistics, scheduled reports and the log of API requests."""
