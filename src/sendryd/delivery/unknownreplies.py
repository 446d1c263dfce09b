"""Counts replies that no pattern knows, so that people see them and the table can grow.

Does: keeps the shape of each such reply with its number and the server that said it, and nothing that names a recipient.
Writes: the counts, every ten seconds and at the end.
When things fail: what could not be stored is stored in the next round; a kill costs the last seconds.
Limits: `MAX_SHAPES` in memory and `MAX_STORED` in the store, where the one that was seen last longest ago makes room.
"""

from datetime import datetime
from typing import Final

from sendryd.model.unknownreply import UnknownReply
from sendryd.policy.replies.unknown import is_unknown, shape_of
from sendryd.policy.replies.verdict import Verdict
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.store.base import UnknownReplyStore
from sendryd.store.errors import StoreError

INTERVAL: Final = 10.0  # seconds
MAX_SHAPES: Final = 500  # between two rounds: a server that puts a new number into each reply fills no more
MAX_STORED: Final = 1_000

log = get_logger("delivery")


class UnknownReplies:
    """The replies that are not stored yet."""

    def __init__(self, store: UnknownReplyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: dict[str, tuple[str, int, datetime, datetime]] = {}  # by shape: host, number, first, last

    def __repr__(self) -> str:
        return f"<UnknownReplies {len(self._seen)} shapes>"

    def note(self, verdict: Verdict, recipient: str) -> None:
        """Counts the reply of a verdict about a recipient, an address, if it is unknown. Never waits."""
        if not is_unknown(verdict):
            return
        self._add(shape_of(verdict, recipient), verdict.relay.host if verdict.relay else "", 1, self._clock.now())

    def _add(self, shape: str, host: str, number: int, first: datetime) -> None:
        seen = self._seen.get(shape)
        if seen is None and len(self._seen) >= MAX_SHAPES:
            return
        now = self._clock.now()
        self._seen[shape] = (host, number, first, now) if seen is None else (host or seen[0], seen[1] + number, min(first, seen[2]), now)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            await self.store()

    async def store(self) -> None:
        """Stores what was counted."""
        taken, self._seen = self._seen, {}
        if not taken:
            return
        replies = [
            UnknownReply(shape=shape, number=number, host=host, first_at=first, last_at=last)
            for shape, (host, number, first, last) in taken.items()
        ]
        try:
            await self._store.add_unknown_replies(replies, most=MAX_STORED)
        except StoreError as error:
            log.error("unknown_replies_not_stored", error=repr(error))
            for each in replies:
                self._add(each.shape, each.host, each.number, each.first_at)
