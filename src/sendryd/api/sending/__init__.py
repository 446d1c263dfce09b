"""`/v1/emails`: sending, changing and cancelling."""
