"""The message submission agent: SMTP on port 587 (RFC 6409)."""
