"""`/v1/organizations`."""
