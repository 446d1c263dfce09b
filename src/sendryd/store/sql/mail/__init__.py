"""Messages, deliveries and events."""
