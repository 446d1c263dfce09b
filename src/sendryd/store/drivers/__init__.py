"""One interface to connections of SQLite (apsw) and PostgreSQL (asyncpg), and the named statements that run on both."""
