"""`/v1/unsubscribes`."""
