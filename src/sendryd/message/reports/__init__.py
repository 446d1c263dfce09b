"""Reports about mail that was sent: delivery status, complaints, auto-replies; told apart and read from the octets that came."""
