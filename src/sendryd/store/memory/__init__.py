"""The mail side of the store contract in dictionaries: the model that database backends are compared with, and a verified fake for tests of the
layers above.

Not durable. Each method runs to its end without awaiting, which makes it one transaction. Webhooks, templates and statistics are missing; their
tests use SQLite, which takes no longer.
"""

from sendryd.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
