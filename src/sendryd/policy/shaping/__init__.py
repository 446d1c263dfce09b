"""Shaping: how much a receiving site gets at once and in a time, by rules and by what its servers answer. Pure: time is an argument."""
