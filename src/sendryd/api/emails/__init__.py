"""`/v1/emails`: messages as they are read."""
