"""`/v1/analytics/scheduled-reports`."""
