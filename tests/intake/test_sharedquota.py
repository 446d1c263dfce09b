"""Quotas that several processes count together in one database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from sendryd.intake.quota import Quota
from sendryd.intake.sharedquota import RETURN_INTERVAL, SharedQuotas
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import ApiKeyId
from sendryd.model.message import Message
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import SystemClock
from sendryd.store.errors import StoreUnavailable
from sendryd.store.postgres.store import PostgresStore, open_store
from sendryd.testing.postgres import shared_server
from sendryd.testing.samples import ACCOUNT, Samples

pytestmark = [pytest.mark.sockets, pytest.mark.needs("postgres")]

CLOCK = SystemClock()
DAY = timedelta(days=1)
OF_KEY, OF_ACCOUNT = Refusal(RefusalKey.QUOTA_REACHED, "this key"), Refusal(RefusalKey.QUOTA_REACHED, "this account")


@pytest.fixture
def database() -> str:
    return shared_server().new_database()


@pytest.fixture
async def stores(database: str, tmp_path: Path) -> AsyncIterator[list[PostgresStore]]:
    """Two processes."""
    target = shared_server().target(database)
    made = [await open_store(target, tmp_path / name, monotonic=monotonic) for name in ("a", "b")]
    yield made
    for store in made:
        await store.aclose()
    shared_server().drop_database(database)


def ledgers(stores: list[PostgresStore], *, of_key: int = 0, of_account: int = 0, period: timedelta = DAY) -> list[SharedQuotas]:
    quotas = {"of_key": Quota(of_key, period) if of_key else None, "of_account": Quota(of_account, period) if of_account else None}
    return [SharedQuotas(store, CLOCK, **quotas) for store in stores]


def message() -> Message:
    return Samples().message(created_at=CLOCK.now()).message


async def test_no_more_pass_than_the_quota_whichever_process_is_asked(stores: list[PostgresStore]) -> None:
    first, second = ledgers(stores, of_account=3)
    one = message()
    assert [await each.take([one]) for each in (first, second, first, second, first)] == [None, None, None, OF_ACCOUNT, OF_ACCOUNT]
    assert 0 < second.retry_after(OF_ACCOUNT) <= DAY.total_seconds()


async def test_no_more_pass_at_the_same_time(stores: list[PostgresStore]) -> None:
    keys = [ApiKeyId(number) for number in range(7)]
    both = ledgers(stores, of_key=40, of_account=200)
    asked = [(each, replace(message(), api_key_id=key)) for _ in range(30) for key in keys for each in both]
    answers = await asyncio.gather(*(ledger.take([each]) for ledger, each in asked))
    passed = [each.api_key_id for (_, each), answer in zip(asked, answers, strict=True) if answer is None]
    assert len(passed) == 200
    assert max(map(passed.count, keys)) <= 40


async def test_of_several_messages_all_pass_or_none(stores: list[PostgresStore]) -> None:
    first, second = ledgers(stores, of_account=3)
    one = message()
    assert await first.take([one, one]) is None
    assert await second.take([one, one]) == OF_ACCOUNT
    assert await second.take([one]) is None


async def test_what_the_account_refuses_does_not_count_for_the_key(stores: list[PostgresStore]) -> None:
    first, second = ledgers(stores, of_key=2, of_account=3)
    one, other = message(), replace(message(), api_key_id=ApiKeyId(99))
    assert [await first.take([one, one]), await first.take([one])] == [None, OF_KEY]
    assert [await second.take([other, other]), await second.take([other])] == [OF_ACCOUNT, None]
    first.give_back([one])
    assert await first.take([replace(other, api_key_id=ApiKeyId(98))]) is None


async def test_test_mail_and_mail_of_the_system_count_apart(stores: list[PostgresStore]) -> None:
    first, second = ledgers(stores, of_key=1, of_account=2)
    one = message()
    assert await first.take([one]) is None
    assert await second.take([replace(one, mode=KeyMode.TEST)]) is None
    assert await second.take([replace(one, api_key_id=None)]) is None
    assert await first.take([replace(one, api_key_id=None)]) == OF_ACCOUNT


async def test_what_was_accepted_before_the_first_count_counts(stores: list[PostgresStore]) -> None:
    samples = Samples(CLOCK.now())
    await stores[0].ensure_account(ACCOUNT, "default", CLOCK.now())
    for _ in range(2):
        await stores[0].accept(samples.message(created_at=CLOCK.now()))
    first, second = ledgers(stores, of_account=3)
    one = message()
    assert [await first.take([one]), await second.take([one])] == [None, OF_ACCOUNT]


async def test_the_next_period_begins_at_zero(stores: list[PostgresStore], database: str) -> None:
    first, second = ledgers(stores, of_account=1)
    one = message()
    assert [await first.take([one]), await second.take([one])] == [None, OF_ACCOUNT]
    shared_server().run("UPDATE quota_count SET start = start - period", database)
    assert [await second.take([one]), await first.take([one])] == [None, OF_ACCOUNT]


async def test_what_is_given_back_may_be_taken_at_another_process(stores: list[PostgresStore]) -> None:
    first, second = ledgers(stores, of_account=1)
    one = message()
    assert await first.take([one]) is None
    first.give_back([one])
    while await second.take([one]) is not None:  # within a second
        await CLOCK.sleep(RETURN_INTERVAL / 10)
    assert await first.take([one]) == OF_ACCOUNT


async def test_mail_of_a_period_that_is_over_gives_nothing_back(stores: list[PostgresStore]) -> None:
    first, _ = ledgers(stores, of_account=1)
    one = message()
    assert await first.take([one]) is None
    first.give_back([replace(one, created_at=one.created_at - DAY)])
    assert await first.take([one]) == OF_ACCOUNT


async def test_whoever_stops_asking_uses_nothing_up(stores: list[PostgresStore]) -> None:
    first, second = ledgers(stores, of_account=2)
    one = message()
    gone = asyncio.create_task(first.take([one]))
    stays = asyncio.create_task(first.take([one]))
    await asyncio.sleep(0)  # lets both ask
    gone.cancel()
    assert await stays is None
    assert await first.take([one]) is None, "what was counted for the one that is gone came back"
    assert await second.take([one]) == OF_ACCOUNT


async def test_counts_of_past_periods_are_deleted(stores: list[PostgresStore], database: str) -> None:
    first, second = ledgers(stores, of_account=1)
    one = message()
    assert await first.take([one]) is None
    await stores[0].forget_counts()
    assert await second.take([one]) == OF_ACCOUNT
    shared_server().run("UPDATE quota_count SET start = start - 3 * period", database)
    await stores[0].forget_counts()
    assert await second.take([one]) is None


async def test_a_database_that_is_away_is_said_so(stores: list[PostgresStore], database: str, tmp_path: Path) -> None:
    third = await open_store(shared_server().target(database), tmp_path / "c", monotonic=monotonic)
    first, _ = ledgers([third, *stores[:1]], of_account=1)
    await third.aclose()
    with pytest.raises(StoreUnavailable):
        await first.take([message()])
