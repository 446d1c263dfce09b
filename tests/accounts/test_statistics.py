"""Which mail counts, and how its statistics are grouped."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sendryd.accounts.statistics import MAX_COHORTS, MAX_PERIOD, BadSelection, Statistics, select_mail
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId
from sendryd.model.report import Counts, Granularity
from sendryd.store.base import Store
from sendryd.testing.stores import open_new_store

ACCOUNT = AccountId(1)
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_new_store(tmp_path)
    await opened.ensure_account(ACCOUNT, "default", START)
    yield opened
    await opened.aclose()


def test_a_domain_is_found_in_any_spelling() -> None:
    which = select_mail(KeyMode.LIVE, START, START + DAY, tag="monthly", domain=" Bücher.Example. ")
    assert (which.tag, which.domain) == ("monthly", "xn--bcher-kva.example")


@pytest.mark.parametrize(
    ("end", "domain", "field", "sentence"),
    [
        (START, None, "to", "it must lie after from"),
        (START - DAY, None, "to", "it must lie after from"),
        (START + MAX_PERIOD + timedelta(milliseconds=1), None, "to", "a period has at most 1,830 days"),
        (START + DAY, "not a domain", "domain", "it is a domain name such as example.com"),
    ],
)
def test_a_bad_selection_names_its_field(end: datetime, domain: str | None, field: str, sentence: str) -> None:
    with pytest.raises(BadSelection) as caught:
        select_mail(KeyMode.LIVE, START, end, domain=domain)
    assert (caught.value.field, str(caught.value)) == (field, sentence)


async def test_a_series_has_a_bucket_for_every_day(store: Store) -> None:
    series = await Statistics(store).read_series(ACCOUNT, select_mail(KeyMode.LIVE, START, START + 3 * DAY), Granularity.DAY)
    assert [(bucket.start, bucket.counts) for bucket in series] == [(START + number * DAY, Counts()) for number in range(3)]


async def test_series_and_cohorts_have_a_limit_of_buckets(store: Store) -> None:
    statistics = Statistics(store)
    days = select_mail(KeyMode.LIVE, START, START + MAX_COHORTS * DAY)
    assert await statistics.read_cohorts(ACCOUNT, days, Granularity.DAY) == []
    longer = select_mail(KeyMode.LIVE, START, START + (MAX_COHORTS + 1) * DAY)
    for attempt in (statistics.read_cohorts(ACCOUNT, longer, Granularity.DAY), statistics.read_series(ACCOUNT, longer, Granularity.HOUR)):
        with pytest.raises(BadSelection, match="stretches of one") as caught:
            await attempt
        assert caught.value.field == "granularity"
