"""Figures of mail by minute, hour and day, derived from messages and events."""

from datetime import datetime, timedelta
from typing import Final, Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.figures import MinuteFigures
from sendryd.model.ids import AccountId

MINUTES_KEPT: Final = timedelta(hours=48)
HOURS_KEPT: Final = timedelta(days=90)
DAYS_KEPT: Final = timedelta(days=730)


class FigureStore(Protocol):
    """Figures, as far as `DerivedStore.follow` has come. Lists are oldest first and leave out times without figures."""

    async def list_minutes(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        """The minutes that begin at `start` or later and before `end`; the last 48 hours are kept."""
        ...

    async def list_hours(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        """The hours that begin at `start` or later and before `end`; the last 90 days are kept."""
        ...

    async def list_days(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        """The days (UTC) that begin at `start` or later and before `end`; the last 2 years are kept."""
        ...

    async def figures_until(self) -> datetime | None:
        """Facts from before this time are counted; None before the first are."""
        ...
