"""A test key's scheduled mail: captured when its time has come, and played out as its addresses say."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import NO_DOMAIN, DeliveryState
from sendryd.model.ids import MessageId
from sendryd.model.message import Message
from sendryd.policy.simulation import SCENARIOS
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.rand import SeededRand
from sendryd.store.base import Capture, EventFilter, MailStore
from sendryd.store.errors import StoreUnavailable
from sendryd.store.memory import MemoryStore
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.testing.stores import open_new_store
from sendryd.upkeep.captures import INTERVAL, CaptureKeeper

HOUR = timedelta(hours=1)


class Lines(MailLog):
    """Keeps the lines."""

    is_on = True

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.found: list[tuple[str, MessageId, str, dict[str, object]]] = []

    def outcome(self, event: str, message: Message, recipient: str, fields: Mapping[str, object]) -> None:
        self.found.append((event, message.id, recipient, dict(fields)))


class House:
    """A keeper, its store and its clock."""

    def __init__(self, store: MailStore) -> None:
        self.store, self.clock = store, ManualClock()
        self.samples = Samples(self.clock.now())
        self.lines = Lines(self.clock)
        self.keeper = CaptureKeeper(store, clock=self.clock, ids=IdSource(self.clock, SeededRand(1)), mail_log=self.lines)

    async def schedule(self, *recipients: str, mode: KeyMode = KeyMode.TEST, at: datetime | None = None) -> MessageId:
        """A message for later, as the door makes it: no engine may pick up a test key's."""
        new = self.samples.message(
            recipients, mode=mode, created_at=self.clock.now(), scheduled_at=at or self.clock.now() + HOUR, source_request=b"d"
        )
        domain = NO_DOMAIN if mode is KeyMode.TEST else "example.org"
        deliveries = tuple(replace(each, state=DeliveryState.QUEUED, domain=domain) for each in new.deliveries)
        await self.store.accept(replace(new, deliveries=deliveries))
        return new.message.id

    async def states(self, message_id: MessageId) -> dict[DeliveryState, int]:
        summary = await self.store.get_message(ACCOUNT, message_id)
        assert summary is not None
        return dict(summary.states)


@pytest.fixture(params=["memory", "sqlite"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    made = House(MemoryStore() if request.param == "memory" else open_new_store(tmp_path))
    yield made
    await made.store.aclose()


async def test_each_recipient_is_a_line_of_the_mail_log(house: House) -> None:
    number = await house.schedule("a@one.test", "bounced@sendry.test", at=house.clock.now() + HOUR)
    await house.keeper.run_once()
    assert house.lines.found == []
    house.clock.advance(HOUR + timedelta(seconds=2))
    await house.keeper.run_once()
    await house.keeper.run_once()
    assert {(message, recipient) for _, message, recipient, _ in house.lines.found} == {
        (number, "a@one.test"),
        (number, "bounced@sendry.test"),
    }
    assert len(house.lines.found) == 2
    for event, _, recipient, fields in house.lines.found:
        assert (event, fields["relay"], fields["delay"]) == ("delivered" if recipient == "a@one.test" else event, "test inbox", 2.0)


async def test_it_is_captured_when_its_time_has_come_and_not_before(house: House) -> None:
    test, live = await house.schedule("a@example.org"), await house.schedule("b@example.org", mode=KeyMode.LIVE)
    house.clock.advance(HOUR - timedelta(seconds=1))
    await house.keeper.run_once()
    assert await house.states(test) == {DeliveryState.QUEUED: 1}
    house.clock.advance(timedelta(seconds=1))
    await house.keeper.run_once()
    assert await house.states(test) == {DeliveryState.DELIVERED: 1}
    assert await house.states(live) == {DeliveryState.QUEUED: 1}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_addresses_of_the_test_domain_play_out_what_they_say(house: House, name: str) -> None:
    message_id = await house.schedule(f"{name.upper()}+1@sendryd.test")
    house.clock.advance(HOUR)
    await house.keeper.run_once()
    assert await house.states(message_id) == {SCENARIOS[name].state: 1}
    page = await house.store.list_events(ACCOUNT, EventFilter(mode=KeyMode.TEST), limit=20)
    told = [(event.type, dict(event.metadata)) for event in reversed(page.items)][1:]  # behind `queued`
    assert told == [(word, dict(metadata)) for word, metadata in SCENARIOS[name].events]


async def test_a_round_goes_on_until_nothing_is_due(house: House) -> None:
    messages = [await house.schedule(f"u{number}@example.org") for number in range(5)]
    house.clock.advance(HOUR)
    await house.keeper.run_once(batch=2)
    assert [await house.states(each) for each in messages] == [{DeliveryState.DELIVERED: 1}] * 5


async def test_a_store_that_fails_is_asked_again_half_a_second_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    capture, rounds = house.store.capture_due, list[datetime]()

    async def failing_once(**arguments: object) -> list[Capture]:
        rounds.append(house.clock.now())
        if len(rounds) == 1:
            raise StoreUnavailable("locked")
        if len(rounds) == 3:
            raise asyncio.CancelledError
        return await capture(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(house.store, "capture_due", failing_once)
    message_id = await house.schedule("a@example.org", at=house.clock.now())
    with pytest.raises(asyncio.CancelledError):
        await house.keeper.run()
    assert await house.states(message_id) == {DeliveryState.DELIVERED: 1}
    assert rounds[1] - rounds[0] == rounds[2] - rounds[1] == timedelta(seconds=INTERVAL)
