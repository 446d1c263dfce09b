"""What is older than it is kept goes, in small steps; what waits, and what is younger, stays."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sendryd.accounts.signin import IDLE_TIME
from sendryd.intake.idempotency import ANSWERS_KEPT
from sendryd.model.actor import Role
from sendryd.model.apikey import KeyMode
from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import ApiKeyId, ApiRequestId, AuditId, MembershipId, MessageId, PersonId
from sendryd.model.people import AuditEntry, Link, LinkPurpose, Membership, PersonRecord, Session
from sendryd.model.unknownreply import UnknownReply
from sendryd.policy.settledtime import HOLD
from sendryd.store.base import Answer, ApiRequestFilter, EventFilter, Store
from sendryd.store.errors import NotFound, StoreUnavailable
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples
from sendryd.testing.stores import open_new_store
from sendryd.upkeep.retention import API_REQUESTS_KEPT, INTERVAL, PAUSE, UNKNOWN_REPLIES_KEPT, Retention

DAY = timedelta(days=1)
MESSAGES, EVENTS = 7 * DAY, 40 * DAY


class House:
    """A store that ages with its clock."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, ManualClock()
        self.retention = Retention(store, messages=MESSAGES, events=EVENTS, clock=self.clock)

    async def accept(self, mode: KeyMode = KeyMode.TEST) -> MessageId:
        """Done at once with a test key, waiting with a live one."""
        new = Samples(self.clock.now()).message(mode=mode, created_at=self.clock.now())
        await self.store.accept(new)
        return new.message.id

    async def has(self, message_id: MessageId) -> bool:
        try:
            await self.store.read_content(message_id)
        except NotFound:
            return False
        return True

    async def count_events(self) -> int:
        return await self.store.count_events(ACCOUNT, EventFilter(mode=KeyMode.TEST))

    async def after(self, delay: timedelta) -> None:
        self.clock.advance(delay)
        await self.retention.run_once()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(open_new_store(tmp_path))
    await made.store.ensure_account(ACCOUNT, "default", made.clock.now())
    yield made
    await made.store.aclose()


async def test_done_messages_go_when_their_time_is_over_and_their_events_later(house: House) -> None:
    message_id = await house.accept()
    await house.after(MESSAGES)
    assert await house.has(message_id)
    await house.after(timedelta(seconds=1))
    assert not await house.has(message_id)
    assert await house.count_events() == 1
    await house.after(EVENTS - MESSAGES)
    assert await house.count_events() == 0


async def test_what_still_waits_is_never_deleted(house: House) -> None:
    message_id = await house.accept(KeyMode.LIVE)
    await house.after(10 * EVENTS)
    assert await house.has(message_id)


async def test_answers_and_the_log_of_requests_have_times_of_their_own(house: House) -> None:
    now, samples = house.clock.now(), Samples(house.clock.now())
    await house.store.accept_all(
        [samples.message(created_at=now)],
        Answer(account_id=ACCOUNT, key="k", fingerprint=b"f" * 32, body=b"b", created_at=now),
        kept_since=now,
    )
    request = ApiRequest(
        id=ApiRequestId(samples.number()),
        account_id=ACCOUNT,
        api_key_id=ApiKeyId(1),
        method="GET",
        path="/v1/emails",
        status_code=200,
        request_body=None,
        response_body=None,
        duration_ms=1,
        user_agent=None,
        created_at=now,
    )
    await house.store.add_api_requests([request])

    async def left() -> tuple[bool, bool]:
        has_answer = await house.store.find_answer(ACCOUNT, "k", kept_since=now - DAY) is not None
        return has_answer, bool((await house.store.page_api_requests(ACCOUNT, ApiRequestFilter(), limit=9)).items)

    seen = []
    for age in (ANSWERS_KEPT, ANSWERS_KEPT + DAY, API_REQUESTS_KEPT, API_REQUESTS_KEPT + DAY):
        await house.after(now + age - house.clock.now())
        seen.append(await left())
    assert seen == [(True, True), (False, True), (False, True), (False, False)]


async def test_many_go_in_small_steps_with_a_pause_behind_each(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        await house.accept()
        house.clock.advance(timedelta(seconds=1))
    house.clock.advance(MESSAGES)
    before, steps, delete = house.clock.now(), list[int](), house.store.delete_messages

    async def counted(*, created_before: datetime, limit: int) -> int:
        steps.append(await delete(created_before=created_before, limit=limit))
        return steps[-1]

    monkeypatch.setattr(house.store, "delete_messages", counted)
    await house.retention.run_once(batch=2)
    assert steps == [2, 2, 1]
    assert house.clock.now() - before == timedelta(seconds=2 * PAUSE)


async def test_a_store_that_fails_is_asked_again_an_hour_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = await house.accept()
    house.clock.advance(MESSAGES + DAY)
    delete, rounds = house.store.delete_messages, list[datetime]()

    async def failing_once(*, created_before: datetime, limit: int) -> int:
        rounds.append(house.clock.now())
        if len(rounds) == 1:
            raise StoreUnavailable("locked")
        if len(rounds) == 3:
            raise asyncio.CancelledError
        return await delete(created_before=created_before, limit=limit)

    monkeypatch.setattr(house.store, "delete_messages", failing_once)
    with pytest.raises(asyncio.CancelledError):
        await house.retention.run()
    assert not await house.has(message_id)
    assert rounds[1] - rounds[0] == rounds[2] - rounds[1] == timedelta(seconds=INTERVAL)


async def test_notifications_go_no_later_than_what_they_tell_of(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ages: dict[str, timedelta] = {}

    def note(name: str) -> None:
        async def delete(*, created_before: datetime, limit: int) -> int:
            ages[name] = house.clock.now() - created_before
            return 0

        monkeypatch.setattr(house.store, name, delete)

    note("delete_notifications")
    note("delete_events")
    for events in (EVENTS, 10 * DAY):
        await Retention(house.store, messages=MESSAGES, events=events, clock=house.clock).run_once()
        assert ages == {"delete_notifications": min(30 * DAY, events), "delete_events": events}


async def test_a_clock_that_is_set_forward_deletes_nothing_until_that_has_held(house: House) -> None:
    message_id = await house.accept()
    answer = Answer(account_id=ACCOUNT, key="k", fingerprint=b"f" * 32, body=b"b", created_at=house.clock.now())
    await house.store.accept_all([], answer, kept_since=house.clock.settled() - ANSWERS_KEPT)
    house.clock.set_wall(house.clock.now() + 365 * DAY)
    await house.after(timedelta(minutes=1))
    assert await house.has(message_id)
    assert await house.count_events() == 1
    assert await house.store.find_answer(ACCOUNT, "k", kept_since=house.clock.settled() - ANSWERS_KEPT) == answer
    await house.after(HOLD)
    assert not await house.has(message_id)
    assert await house.count_events() == 0


async def test_a_session_that_has_ended_is_deleted(house: House) -> None:
    session = Session(
        id_hash=b"s" * 32,
        person_id=PersonId(1),
        account_id=ACCOUNT,
        created_at=house.clock.now(),
        seen_at=house.clock.now(),
        address="",
        agent="",
    )
    person = PersonRecord(
        id=PersonId(1), email="ann@acme.example", name="Ann", password_hash="", is_operator=False, created_at=house.clock.now()
    )
    link = Link(
        token_hash=b"t" * 32,
        purpose=LinkPurpose.OWNER,
        account_id=ACCOUNT,
        created_at=house.clock.now(),
        expires_at=house.clock.now() + DAY,
    )
    of = Membership(
        id=MembershipId(2),
        account_id=ACCOUNT,
        email=person.email,
        role=Role.OWNER,
        invited_at=house.clock.now(),
        person_id=person.id,
        joined_at=house.clock.now(),
    )
    audit = AuditEntry(
        id=AuditId(3), account_id=ACCOUNT, actor="", address="", action="person.joined", target="", created_at=house.clock.now()
    )
    await house.store.add_link(link)
    await house.store.join(link, person, of, audit, house.clock.now())
    await house.store.start_session(session, None)
    await house.after(IDLE_TIME - timedelta(minutes=1))
    assert await house.store.list_sessions(person.id) == [session]
    await house.after(timedelta(minutes=2) + HOLD)
    assert await house.store.list_sessions(person.id) == []


async def test_replies_that_no_pattern_knows_go_when_they_came_no_more(house: House) -> None:
    now = house.clock.now()
    await house.store.add_unknown_replies([UnknownReply(shape="550 No", number=1, host="", first_at=now, last_at=now)], most=9)
    await house.after(UNKNOWN_REPLIES_KEPT)
    assert len(await house.store.list_unknown_replies(limit=9)) == 1
    await house.after(timedelta(seconds=1))
    assert await house.store.list_unknown_replies(limit=9) == []
