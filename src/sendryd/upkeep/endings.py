"""Writes to the mail log what was cancelled or has expired.

Does: follows the events of both kinds, because any process may write them: an operator's command, the REST API, upkeep itself.
Reads: events. Writes: the mail log.
Strategy: a look each second along an index that has these events alone. Events are looked for from a minute before the last look on, since
one that was made earlier may be committed later; those that were logged are remembered for as long. The first look begins when the program
was last seen running: what a command cancelled while no `serve` ran is logged by the next.
Limits: after a kill, what ended since that time was noted is logged again; nothing older than a week is logged.
"""

from datetime import datetime, timedelta
from typing import Final

from sendryd.model.event import EventType
from sendryd.model.ids import EventId
from sendryd.runtime.clock import Clock
from sendryd.runtime.maillog import MailLog, outcome_fields
from sendryd.store.base import Ended, EventStore
from sendryd.upkeep.rounds import run_rounds

INTERVAL: Final = 1.0  # seconds: what a command changes is seen within it
OVERLAP: Final = timedelta(minutes=1)  # longer than a commit that waits for another process
MAX_GAP: Final = timedelta(days=7)  # older endings are of a database that was put away, not of a stop
_WORDS: Final = {EventType.CANCELLED: "cancelled", EventType.FAILED: "expired"}


class EndingsFollower:
    """One look a second."""

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
        """One look."""
        now = self._clock.now()
        found = await self._store.list_ended(since=self._since)
        self._since = max(self._started, now - OVERLAP)
        for ended in found:
            if ended.event.id not in self._logged:
                self._log(ended, self._clock.now())
        self._logged = {ended.event.id for ended in found}

    def _log(self, ended: Ended, now: datetime) -> None:
        event, message = ended.event, ended.message
        age = max(0.0, (now - message.waits_since).total_seconds())  # a scheduled message may end before its time
        self._mail_log.outcome(_WORDS[event.type], message, event.recipient, {"delay": round(age, 3), **outcome_fields(event.metadata)})
