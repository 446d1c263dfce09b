"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta

from sendryd.runtime.clock import SettledClock, milliseconds


class ManualClock(SettledClock):
    """`Clock` for tests. `sleep` moves it and returns at once."""

    def __init__(self, start: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0
        self.begin_from(None)

    def __repr__(self) -> str:
        return f"<ManualClock {self._now.isoformat()}>"

    def now(self) -> datetime:
        return self._now

    def unix_ms(self) -> int:
        return milliseconds(self._now)

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        self.advance(timedelta(seconds=seconds))

    def set_wall(self, moment: datetime) -> None:
        """Sets the wall time, as an operator or a time server does; monotonic time does not change."""
        self.settled()  # as some daemon does each second
        self._now = moment
        self.settled()

    def advance(self, delay: timedelta) -> None:
        """Moves wall and monotonic time forward."""
        self._now += delay
        self._monotonic += delay.total_seconds()
