"""The single door: every message, whatever way it came, is admitted, prepared and stored here and nowhere else."""
