"""Figures in dictionaries: counted on request from what has been followed."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.event import Event, EventType
from sendryd.model.figures import LATENCY_BUCKETS, MinuteFigures, bucket_of
from sendryd.model.ids import AccountId
from sendryd.model.message import Message
from sendryd.store.codec.values import first_id
from sendryd.store.memory.state import MemoryMail

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS: Final = (EventType.DELIVERED, EventType.DEFERRED, EventType.BOUNCED)
_ONCE: Final = (EventType.COMPLAINED, EventType.OPENED, EventType.CLICKED)


class MemoryFigures(MemoryMail):
    """`FigureStore` and `DerivedStore`."""

    def __init__(self) -> None:
        super().__init__()
        self._until: datetime | None = None

    async def follow(self, *, until: datetime, limit: int) -> bool:
        del limit  # everything is counted on request
        self._until = until
        return False

    async def repair_derived(self, *, start: datetime, end: datetime) -> int:
        del start, end  # nothing is ever missing
        return 0

    async def prune_derived(self, now: datetime) -> None:
        del now  # nothing is kept

    async def figures_until(self) -> datetime | None:
        return self._until

    async def list_minutes(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        return self._count(account_id, mode, start, end, timedelta(minutes=1))

    async def list_hours(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        return self._count(account_id, mode, start, end, timedelta(hours=1))

    async def list_days(self, account_id: AccountId, mode: KeyMode, *, start: datetime, end: datetime) -> list[MinuteFigures]:
        return self._count(account_id, mode, start, end, timedelta(days=1))

    def _count(self, account_id: AccountId, mode: KeyMode, start: datetime, end: datetime, step: timedelta) -> list[MinuteFigures]:
        found: dict[datetime, Counter[str | int]] = {}
        for number, moment, key in self._facts(account_id, mode):
            at = moment - (moment - _EPOCH) % step
            if start <= at < end and self._until is not None and number < first_id(self._until):
                found.setdefault(at, Counter())[key] += 1
        return [
            MinuteFigures(
                minute=at,
                **{key: number for key, number in numbers.items() if isinstance(key, str)},
                latency=tuple(numbers[place] for place in range(len(LATENCY_BUCKETS))),
            )
            for at, numbers in sorted(found.items())
        ]

    def _counts(self, event: Event) -> bool:
        """Whether an event is one of the account's own mail, and of no copy for an archive."""
        new = self._messages.get(event.message_id)
        is_copy = new is not None and any(each.is_copy for each in new.deliveries if each.id == event.delivery_id)
        return not is_copy and (new is None or not _is_report(new.message))

    def _facts(self, account_id: AccountId, mode: KeyMode) -> Iterator[tuple[int, datetime, str | int]]:
        """The number of each fact, its time, and the figure or the place of the latencies that it counts in."""
        for new in self._messages.values():
            if (new.message.account_id, new.message.mode) == (account_id, mode) and not _is_report(new.message):
                yield new.message.id, new.message.created_at, "accepted"
        once: set[tuple[object, ...]] = set()
        for _, (event, owner, owned_mode) in sorted(self._events.items()):
            if (owner, owned_mode) != (account_id, mode) or not self._counts(event):
                continue
            if event.type in _ALWAYS:
                yield event.id, event.created_at, event.type.value
            elif event.type in _ONCE and not _is_of_scanner(event) and (event.type, event.delivery_id) not in once:
                once.add((event.type, event.delivery_id))
                yield event.id, event.created_at, event.type.value
            if event.type is EventType.DELIVERED:
                accepted = self._messages[event.message_id].message.waits_since
                yield event.id, event.created_at, bucket_of(event.created_at - accepted)


def _is_report(message: Message) -> bool:
    """Whether a message is a report to a sender, which the program has made."""
    return message.api_key_id is None and not message.reverse_path


def _is_of_scanner(event: Event) -> bool:
    return "scanner" in (event.metadata.get("opened_by"), event.metadata.get("clicked_by"))
