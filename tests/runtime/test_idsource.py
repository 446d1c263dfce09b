"""Identifiers only grow."""

from datetime import UTC, datetime, timedelta

from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import SeededRand


class SteppedClock:
    """A clock that shows what it is told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def unix_ms(self) -> int:
        return int(self.moment.timestamp() * 1000)

    def monotonic(self) -> float:
        return 0.0

    def settled(self) -> datetime:
        return self.moment

    def settled_for(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here sleeps")


def test_many_in_one_millisecond_are_distinct_and_grow() -> None:
    ids = IdSource(SteppedClock(), SeededRand(1))
    numbers = [ids.next() for _ in range(10_000)]
    assert numbers == sorted(set(numbers))


def test_they_grow_when_the_clock_goes_back() -> None:
    clock = SteppedClock()
    ids = IdSource(clock, SeededRand(1))
    before = ids.next()
    clock.moment -= timedelta(days=3650)
    assert ids.next() > before


def test_they_fit_a_signed_64_bit_integer_for_decades() -> None:
    clock = SteppedClock()
    clock.moment = datetime(2093, 1, 1, tzinfo=UTC)
    assert 0 < IdSource(clock, SeededRand(1)).next() < 1 << 63
