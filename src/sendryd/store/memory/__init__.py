"""The mail side of the store's contract kept in dictionaries: the model that the databases are compared with, and a verified fake for tests of
the layers above.

Not durable. Each method runs to its end without awaiting, which makes it one transaction. Webhooks, templates and figures are not here: what
needs them is tested on SQLite, which takes no longer.
"""

from sendryd.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
