"""`/v1/suppression`."""
