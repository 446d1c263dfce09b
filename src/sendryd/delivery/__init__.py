"""The outbound side: from what is due to what the receiving servers said of it."""
