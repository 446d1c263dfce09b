"""`/v1/status` and its like: what runs here, and how it does."""
