"""The parts of the store in SQL: one code for both engines, a folder for each aggregate."""
