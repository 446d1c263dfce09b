"""What is derived from messages and events, and can be derived again: the figures and the search index."""

from datetime import datetime
from typing import Protocol


class DerivedStore(Protocol):
    """The steps of the follower. None of them holds up the operations of mail."""

    async def follow(self, *, until: datetime, limit: int) -> bool:
        """Derives from messages and events that were stored after those of the last call, in the order of their identifiers, at most `limit` of
        each, and from before `until`. Starts over if what was derived is missing or damaged. Returns whether more is left.
        """
        ...
