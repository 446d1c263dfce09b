"""The single door: every message, from SMTP or REST, is admitted, prepared and stored here and nowhere else."""
