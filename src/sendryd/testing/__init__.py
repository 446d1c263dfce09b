"""Test harnesses: a receiving mail server, a name server, the real program as a process, and a world of all three."""
