"""PostgreSQL for many nodes: asyncpg, one writer thread for each process, group commit."""
