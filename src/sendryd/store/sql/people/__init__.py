"""People, sessions and the audit."""
