"""Writes a line of the mail log for each cancelled or expired delivery.

Does: follows the events of both types, because any process may write them: an operator's command, the REST API, upkeep itself.
Reads: events. Writes: the mail log.
Strategy: each second, reads the ids of these events from a minute before the last round on, because an earlier event may be committed later;
logged events are remembered for that minute. Of the new ones a few are read at a time: somebody may have cancelled a hundred thousand. The first
round begins at the time when `serve` last ran, so deliveries cancelled by a command while it was stopped are logged too.
Limits: after a kill, events since that time was last stored are logged again; events older than a week are not logged.
"""

from datetime import datetime, timedelta
from typing import Final

from sendryd.model.event import EventType
from sendryd.model.ids import EventId
from sendryd.runtime.clock import Clock
from sendryd.runtime.maillog import MailLog, outcome_fields
from sendryd.store.base import Ended, EventStore
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 1.0  # seconds until a command's change is in the log
OVERLAP: Final = timedelta(minutes=1)  # longer than a commit that waits for another process
MAX_GAP: Final = timedelta(days=7)  # older ones come from a restored database, not from a stop
BATCH: Final = 200  # events read at once, with their messages: some milliseconds
_WORDS: Final = {EventType.CANCELLED: "cancelled", EventType.FAILED: "expired"}


class EndingsFollower:
    """Reads the new events once a second."""

    def __init__(self, store: EventStore, *, clock: Clock, mail_log: MailLog, last_seen: datetime | None = None) -> None:
        self._store = store
        self._clock = clock
        self._mail_log = mail_log
        now = clock.now()
        self._started = now if last_seen is None else min(now, max(last_seen, now - MAX_GAP))
        self._since = self._started
        self._logged: set[EventId] = set()

    async def run(self) -> None:
        """Until cancelled."""
        await run_rounds(self.run_once, self._clock, interval=INTERVAL, failure="endings_not_followed", does_pause_first=True)

    async def run_once(self) -> None:
        """Logs the new events."""
        now = self._clock.now()
        found = await self._store.list_ended(since=self._since)
        new = [each for each in found if each not in self._logged]
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            for ended in await self._store.read_ended(batch):
                self._log(ended, self._clock.now())
            self._logged.update(batch)
        self._since = max(self._started, now - OVERLAP)
        self._logged.intersection_update(found)

    def _log(self, ended: Ended, now: datetime) -> None:
        event, message = ended.event, ended.message
        age = max(0.0, (now - message.waits_since).total_seconds())  # a scheduled message may end before its time
        self._mail_log.outcome(_WORDS[event.type], message, event.recipient, {"delay": round(age, 3), **outcome_fields(event.metadata)})
