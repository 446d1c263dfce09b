"""The embedded default: SQLite through apsw, one writer thread, group commit."""

from sendryd.store.sqlite.store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
