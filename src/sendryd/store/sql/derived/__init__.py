"""What is derived from messages and events, as the store offers it."""
