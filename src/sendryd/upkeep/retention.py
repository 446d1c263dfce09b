"""Deletes rows past their retention time, in small steps.

Does: removes done messages with their content, events, notifications, mail that came in, reports of others, the log of API requests, answers to
idempotent requests, replies that no pattern knows, sessions and one-time links that have ended, and the names of removed domains that no waiting mail
refers to, once an hour.
When the clock is set: forward, nothing is deleted by the new time until that has held for a while.
Limits: `BATCH` rows in one transaction, with a pause after each, so that mail does not wait.
"""

from datetime import timedelta
from typing import Final

from sendryd.accounts.signin import IDLE_TIME, MAX_SESSION
from sendryd.intake.idempotency import ANSWERS_KEPT
from sendryd.runtime.clock import Clock
from sendryd.store.base import Store
from sendryd.store.errors import StoreFull
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 3600.0  # seconds
BATCH: Final = 200  # rows in one transaction
NOTIFICATIONS_KEPT: Final = timedelta(days=30)  # for lookups and replays
INBOUND_KEPT: Final = timedelta(days=30)  # the contract
DOMAIN_REPORTS_KEPT: Final = timedelta(days=90)  # as long as events: trends of a quarter
UNKNOWN_REPLIES_KEPT: Final = timedelta(days=90)  # since they came last: a server writes what it likes into them
API_REQUESTS_KEPT: Final = timedelta(days=30)  # for lookups
SHORTER: Final = 4  # divisor of a transaction's size after one did not fit on the disk
PAUSE: Final = 0.05  # seconds between transactions


class Retention:
    """One round an hour."""

    def __init__(self, store: Store, *, messages: timedelta, events: timedelta, clock: Clock) -> None:
        self._store = store
        self._messages = messages
        self._events = events
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="retention_failed")

    async def run_once(self, batch: int = BATCH) -> None:
        """Deletes all rows past their retention time."""
        now, store = self._clock.settled(), self._store
        for delete, age in (
            (store.delete_messages, self._messages),
            (store.delete_notifications, min(NOTIFICATIONS_KEPT, self._events)),  # they contain events, so they are not kept longer
            (store.delete_events, self._events),
            (store.delete_api_requests, API_REQUESTS_KEPT),
            (store.delete_answers, ANSWERS_KEPT),
            (store.delete_inbound, INBOUND_KEPT),
            (store.delete_domain_reports, DOMAIN_REPORTS_KEPT),
            (store.delete_removed_domains, self._messages),
        ):
            limit = batch
            while True:
                try:
                    if await delete(created_before=now - age, limit=limit) < limit:
                        break
                except StoreFull:  # a shorter transaction needs less of the write-ahead log, and frees room for the next
                    if limit == 1:
                        raise
                    limit = max(1, limit // SHORTER)
                await self._clock.sleep(PAUSE)
        await store.delete_unknown_replies(seen_before=now - UNKNOWN_REPLIES_KEPT)
        await store.delete_stale_sessions(seen_before=now - IDLE_TIME, created_before=now - MAX_SESSION)
