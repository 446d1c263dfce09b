"""What is derived from messages and events, and can be derived again: the figures and the search index."""

from datetime import datetime
from typing import Protocol


class DerivedStore(Protocol):
    """The steps of the follower. None of them holds up the operations of mail."""

    async def follow(self, *, until: datetime, limit: int) -> bool:
        """Derives from messages and events that were stored after those of the last call, in the order of their identifiers, at most `limit` of
        each, and from before `until`. Starts over if what was derived is missing or damaged. Returns whether more is left. Raises `StoreFull`
        while there is no room for new mail.
        """
        ...

    async def repair_derived(self, *, start: datetime, end: datetime) -> int:
        """Compares what was derived with the messages and events of some whole minutes of the last 48 hours, and adds what is missing: facts that
        were stored long after their identifier was made. Returns how many messages and figures were missing.
        """
        ...

    async def prune_derived(self, now: datetime) -> None:
        """Drops months of the index whose messages are all deleted, and figures past their time."""
        ...
