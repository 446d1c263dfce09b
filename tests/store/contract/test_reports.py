"""Figures, compared with a count by hand, and scheduled reports."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import (
    AccountId,
    DeliveryId,
    DomainId,
    EventId,
    MessageId,
    ReportId,
    TemplateId,
    TemplateVersionId,
)
from sendryd.model.message import Message
from sendryd.model.report import Breakdown, Bucket, Cohort, Counts, Granularity, ReportFrequency, ScheduledReport, Summary
from sendryd.model.template import Template, TemplateContent
from sendryd.store.base import MAX_OFFSETS, Engagement, NewEvent, Outcome, ReportFilter, Store
from sendryd.store.errors import LimitReached, NotFound
from sendryd.testing.examples import examples
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.stores import quick_folder

from .backends import Backend

OTHER = AccountId(2)
START = datetime(2026, 1, 26, tzinfo=UTC)  # a Monday; the month ends in its week
DAYS = 12
WHOLE = ReportFilter(mode=KeyMode.LIVE, start=START, end=START + timedelta(days=DAYS))
COUNTED = (EventType.DELIVERED, EventType.BOUNCED, EventType.COMPLAINED, EventType.OPENED, EventType.CLICKED)
IDS_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
DOMAINS = {DomainId(11): "one.test", DomainId(12): "two.test"}
TEMPLATES = {TemplateId(21): "Welcome", TemplateId(22): "Bye"}
times = st.integers(0, 4 * 24 * DAYS).map(lambda quarters: quarters / 4)
happenings = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*COUNTED, *COUNTED, EventType.SENT, EventType.DEFERRED]),
        times,
        st.sampled_from(["person", "person", "proxy", "scanner"]),
    ),
    max_size=8,
)
mails = st.tuples(
    times.map(lambda hours: hours - 72),
    st.sampled_from([KeyMode.LIVE, KeyMode.LIVE, KeyMode.TEST]),
    st.fixed_dictionaries(
        {
            "signing_domain_id": st.sampled_from([*DOMAINS, DomainId(99), None]),
            "author": st.sampled_from(["A <a@one.test>", "b@three.test", "A <a@Two.test>"]),
            "tags": st.sampled_from([(), (("kind", "news"),), (("kind", "alert"), ("kinds", "news")), (('"', "\u00fc"),)]),
            "template_id": st.sampled_from([*TEMPLATES, TemplateId(99), None]),
        }
    ),
    happenings,
)
filters = st.builds(
    ReportFilter,
    mode=st.sampled_from([KeyMode.LIVE, KeyMode.LIVE, KeyMode.TEST]),
    start=st.sampled_from([START, START + timedelta(hours=30)]),
    end=st.sampled_from([WHOLE.end, START + timedelta(days=6, hours=1)]),
    tag=st.sampled_from([None, None, "kind", "kind:news", "kinds:alert", '":\u00fc']),
    domain=st.sampled_from([None, None, "one.test", "three.test", "absent.test"]),
)


@dataclass(frozen=True)
class Fact:
    """Something that happened to a delivery."""

    message: Message
    delivery_id: DeliveryId
    type: EventType
    at: datetime
    is_scanner: bool = False


# What the events of a delivery say about the server that took it.
HOSTS: Final[tuple[dict[str, str], ...]] = ({"host": "aspmx.l.google.com"}, {"host": "mx.corp.example"}, {})


class History:
    """Fills a store with mail and what became of it, and keeps count."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.facts: list[Fact] = []
        self._count = 0

    def number(self, at: datetime) -> int:
        """An identifier made at this time."""
        self._count += 1
        return (int((at - IDS_EPOCH).total_seconds() * 1000) << 22) + self._count

    async def prepare(self) -> None:
        """An account with domains and templates."""
        await self.store.ensure_account(ACCOUNT, "default", NOW)
        for domain_id, name in DOMAINS.items():
            new = Samples().domain(name)
            await self.store.add_domain(replace(new, domain=replace(new.domain, id=domain_id)))
        content = TemplateContent(subject=None, html="", text=None, engine="html", variables=None, blocks=None)
        for template_id, name in TEMPLATES.items():
            template = Template(id=template_id, account_id=ACCOUNT, name=name, content=content, created_at=NOW, updated_at=NOW)
            await self.store.add_template(template, TemplateVersionId(template_id))

    async def send(self, hours: float = 0, mode: KeyMode = KeyMode.LIVE, **fields: Any) -> tuple[Message, list[DeliveryId]]:
        """Accepts a message to three recipients so many hours after the start."""
        at = START + timedelta(hours=hours)
        new = Samples(at).message([f"u{number}@example.org" for number in range(3)], mode=mode, created_at=at)
        message = replace(new.message, **{"id": MessageId(self.number(at)), "signing_domain_id": DomainId(11), **fields})
        deliveries = tuple(replace(each, id=DeliveryId(self.number(at)), events=()) for each in new.deliveries)
        await self.store.accept(replace(new, message=message, deliveries=deliveries))
        return message, [each.id for each in deliveries]

    async def happen(
        self, message: Message, delivery_id: DeliveryId, event_type: EventType, hours: float, by: str = "person", **more: str
    ) -> None:
        """Something happens so many hours after the message was accepted."""
        at = message.created_at + timedelta(hours=hours)
        is_judged = event_type in {EventType.OPENED, EventType.CLICKED}
        metadata = {f"{event_type}_by": by} if is_judged else {"code": 250, **HOSTS[delivery_id % len(HOSTS)], **more}
        event = NewEvent(id=EventId(self.number(at)), type=event_type, metadata=metadata)
        assert await self.store.record_engagements([Engagement(delivery_id=delivery_id, event=event, happened_at=at)]) == 1
        self.facts.append(Fact(message, delivery_id, event_type, at, is_judged and by == "scanner"))


def domain_of(message: Message) -> str:
    """The sending domain, or the author's where there is none."""
    author = message.author.rpartition("@")[2].rstrip(">").lower()
    return DOMAINS[message.signing_domain_id] if message.signing_domain_id in DOMAINS else author


def firsts(facts: Sequence[Fact], which: ReportFilter) -> list[tuple[str, Fact]]:
    """What counts: of each delivery the first of each kind in the time."""
    name, _, value = (which.tag or "").partition(":")
    found: dict[tuple[str, DeliveryId], Fact] = {}
    for fact in sorted(facts, key=lambda each: each.at):
        tags = fact.message.tags
        is_meant = (
            fact.message.mode is which.mode
            and fact.message.account_id == ACCOUNT
            and which.start <= fact.at < which.end
            and fact.type in COUNTED
            and not fact.is_scanner
            and (which.tag is None or any(tag == name and (not value or what == value) for tag, what in tags))
            and which.domain in {None, domain_of(fact.message)}
        )
        if is_meant:
            found.setdefault((fact.type.value, fact.delivery_id), fact)
            if fact.type in {EventType.DELIVERED, EventType.BOUNCED}:
                found.setdefault(("sent", fact.delivery_id), fact)
    return [(kind, fact) for (kind, _), fact in found.items()]


def count(told: Sequence[tuple[str, Fact]]) -> Counts:
    return Counts(**Counter(kind for kind, _ in told))


@cache
def begin(at: datetime, granularity: Granularity) -> datetime:
    """Where a stretch begins: counted down hour by hour, told by the calendar."""
    at = at.replace(minute=0, second=0, microsecond=0)
    while not {
        Granularity.HOUR: True,
        Granularity.DAY: at.hour == 0,
        Granularity.WEEK: at.isoweekday() == 1 and at.hour == 0,
        Granularity.MONTH: at.day == 1 and at.hour == 0,
    }[granularity]:
        at -= timedelta(hours=1)
    return at


def list_buckets(told: Sequence[tuple[str, Fact]], granularity: Granularity) -> list[Bucket]:
    starts = sorted({begin(fact.at, granularity) for _, fact in told})
    return [Bucket(start=start, counts=count([each for each in told if begin(each[1].at, granularity) == start])) for start in starts]


def list_cohorts(told: Sequence[tuple[str, Fact]], which: ReportFilter, granularity: Granularity) -> list[Cohort]:
    told = [each for each in told if each[1].message.created_at >= which.start]
    hours = int((which.end - which.start) / timedelta(hours=1))
    known = sorted({begin(which.start + timedelta(hours=number), granularity) for number in range(hours)})
    cohorts = []
    for start in known:
        members = [each for each in told if begin(each[1].message.created_at, granularity) == start]
        for offset, bucket in enumerate(known[known.index(start) :][:MAX_OFFSETS] if members else []):
            so_far = count([each for each in members if begin(each[1].at, granularity) <= bucket])
            cohorts.append(Cohort(start=start, offset=offset, counts=replace(so_far, sent=count(members).sent)))
    return cohorts


def break_down(told: Sequence[tuple[str, Fact]], by: str) -> list[Breakdown]:
    numbers = {name: int(number) for number, name in DOMAINS.items()}

    def key(message: Message) -> tuple[int | None, str | None]:
        if by == "domain":
            return numbers.get(domain_of(message)), domain_of(message)
        return message.template_id, TEMPLATES.get(message.template_id) if message.template_id else None

    groups = {key(fact.message) for _, fact in told}
    found = [
        Breakdown(id=group[0], name=group[1], counts=count([each for each in told if key(each[1].message) == group])) for group in groups
    ]
    return sorted(found, key=lambda each: (-each.counts.sent, each.name is None, each.name or "", each.id or 0))


async def compare(store: Store, facts: Sequence[Fact], which: ReportFilter) -> None:
    told = firsts(facts, which)
    assert await store.count_activity(ACCOUNT, which) == count(told)
    for by in ("domain", "template"):
        assert await store.break_down(ACCOUNT, which, by, limit=99) == break_down(told, by)
    for granularity in Granularity:
        assert await store.list_activity(ACCOUNT, which, granularity) == list_buckets(told, granularity)
        assert await store.list_cohorts(ACCOUNT, which, granularity) == list_cohorts(told, which, granularity)


async def compare_summaries(store: Store, facts: Sequence[Fact], which: ReportFilter) -> None:
    told, before = firsts(facts, which), firsts(facts, replace(which, start=which.start - (which.end - which.start), end=which.start))
    for granularity in Granularity:
        assert await store.summarise_activity(ACCOUNT, which, granularity, limit=99) == Summary(
            before=count(before),
            counts=count(told),
            buckets=tuple(list_buckets(told, granularity)),
            domains=tuple(break_down(told, "domain")),
            templates=tuple(break_down(told, "template")),
            providers=tuple(await store.break_down(ACCOUNT, which, "provider", limit=99)),  # which reads each event
        )


async def follow(store: Store, hours: int) -> None:
    """Follows what happened up to so many hours after the start."""
    while await store.follow(until=START + timedelta(hours=hours), limit=5):
        pass


@settings(max_examples=examples(30), deadline=None)
@given(
    sent=st.lists(mails, max_size=8),
    asked=st.lists(filters, min_size=3, max_size=6),
    followed=st.lists(st.integers(0, 24 * DAYS), max_size=1),
)
def test_figures_are_those_counted_by_hand(
    backend: Backend,
    sent: list[tuple[float, KeyMode, dict[str, Any], list[tuple[int, EventType, float, str]]]],
    asked: list[ReportFilter],
    followed: list[int],
) -> None:
    async def check(folder: Path) -> None:
        async with backend.install(folder / "data") as open_one, aclosing(await open_one()) as store:
            history = History(store)
            await history.prepare()
            for hours, mode, fields, events in sent:
                message, deliveries = await history.send(hours, mode, **fields)
                for number, event_type, after, by in events:
                    await history.happen(message, deliveries[number], event_type, after, by)
            for which in asked:
                await compare(store, history.facts, which)
            for until in [None, *sorted(followed), 24 * 40]:
                if until is not None:
                    await follow(store, until)
                for which in asked:
                    await compare_summaries(store, history.facts, which)
                    await compare_summaries(store, history.facts, replace(which, start=which.start + timedelta(minutes=15)))

    with tempfile.TemporaryDirectory(dir=quick_folder()) as folder:
        asyncio.run(check(Path(folder)))


async def test_summaries_have_what_was_stored_late_after_a_comparison(history: History) -> None:
    message, (one, two, three) = await history.send()
    late = history.number(message.created_at + timedelta(hours=1))
    await history.happen(message, one, EventType.DELIVERED, 2)
    await follow(history.store, 24)
    at = START + timedelta(hours=1)
    event = NewEvent(id=EventId(late), type=EventType.DELIVERED)
    await history.store.record_engagements([Engagement(delivery_id=two, event=event, happened_at=at)])
    assert (await history.store.summarise_activity(ACCOUNT, WHOLE, Granularity.DAY, limit=1)).counts == Counts(sent=1, delivered=1)
    assert await history.store.repair_derived(start=at, end=at + timedelta(minutes=1)) > 0
    await history.happen(message, three, EventType.BOUNCED, 23)  # counted beside the sums
    found = await history.store.summarise_activity(ACCOUNT, WHOLE, Granularity.DAY, limit=1)
    assert found.counts == await history.store.count_activity(ACCOUNT, WHOLE) == Counts(sent=3, delivered=2, bounced=1)


async def test_summaries_reach_further_back_than_events(history: History) -> None:
    message, (one, *_) = await history.send()
    await history.happen(message, one, EventType.DELIVERED, 2)
    await follow(history.store, 24 * DAYS)
    await history.store.delete_events(created_before=WHOLE.end, limit=100)
    assert await history.store.count_activity(ACCOUNT, WHOLE) == Counts()
    found = await history.store.summarise_activity(ACCOUNT, WHOLE, Granularity.DAY, limit=1)
    assert [(each.name, each.counts) for each in found.domains] == [("one.test", Counts(sent=1, delivered=1))]


@pytest.fixture
async def history(store: Store) -> History:
    """A store with domains and templates, and no mail."""
    made = History(store)
    await made.prepare()
    return made


async def test_opens_and_clicks_count_once_and_not_by_scanners(history: History) -> None:
    message, (one, two, three) = await history.send()
    for delivery_id in (one, two, three):
        await history.happen(message, delivery_id, EventType.DELIVERED, 0)
    for hours in (1, 2, 30):
        await history.happen(message, one, EventType.OPENED, hours)
        await history.happen(message, one, EventType.CLICKED, hours)
    await history.happen(message, two, EventType.OPENED, 1, by="scanner")
    await history.happen(message, two, EventType.OPENED, 30, by="proxy")
    await history.happen(message, three, EventType.CLICKED, 1, by="scanner")
    assert await history.store.count_activity(ACCOUNT, WHOLE) == Counts(sent=3, delivered=3, opened=2, clicked=1)
    assert await history.store.list_activity(ACCOUNT, WHOLE, Granularity.DAY) == [
        Bucket(start=START, counts=Counts(sent=3, delivered=3, opened=1, clicked=1)),
        Bucket(start=START + timedelta(days=1), counts=Counts(opened=1)),
    ]


async def test_a_delivery_that_is_bounced_after_all_was_sent_once(history: History) -> None:
    message, (one, two, _) = await history.send()
    await history.happen(message, one, EventType.DELIVERED, 1)
    await history.happen(message, one, EventType.BOUNCED, 26)
    await history.happen(message, two, EventType.BOUNCED, 26)
    assert await history.store.count_activity(ACCOUNT, WHOLE) == Counts(sent=2, delivered=1, bounced=2)
    assert await history.store.list_activity(ACCOUNT, WHOLE, Granularity.DAY) == [
        Bucket(start=START, counts=Counts(sent=1, delivered=1)),
        Bucket(start=START + timedelta(days=1), counts=Counts(sent=1, bounced=2)),
    ]


async def test_a_time_begins_sharp_and_ends_before_its_end(history: History) -> None:
    message, (one, two, three) = await history.send(-1)
    for delivery_id, hours in ((one, 0.9999), (two, 1), (three, 1 + 24 * DAYS)):
        await history.happen(message, delivery_id, EventType.DELIVERED, hours)
    assert await history.store.count_activity(ACCOUNT, WHOLE) == Counts(sent=1, delivered=1)
    assert await history.store.list_cohorts(ACCOUNT, WHOLE, Granularity.DAY) == []  # it was accepted before


async def test_an_event_that_is_stored_late_counts_when_it_happened(history: History) -> None:
    message, (one, *_) = await history.send(-1)
    at = START - timedelta(seconds=1)
    event = NewEvent(id=EventId(history.number(START + timedelta(minutes=1))), type=EventType.DELIVERED)
    await history.store.record_engagements([Engagement(delivery_id=one, event=event, happened_at=at)])
    assert await history.store.count_activity(ACCOUNT, WHOLE) == Counts()
    assert await history.store.count_activity(ACCOUNT, replace(WHOLE, start=at)) == Counts(sent=1, delivered=1)
    assert message.created_at < at


async def test_other_accounts_and_modes_are_left_out(history: History) -> None:
    for mode, account_id in ((KeyMode.LIVE, OTHER), (KeyMode.TEST, ACCOUNT)):
        message, (one, *_) = await history.send(1, mode, account_id=account_id)
        await history.happen(message, one, EventType.DELIVERED, 1)
    assert await history.store.count_activity(ACCOUNT, WHOLE) == Counts()
    assert await history.store.count_activity(ACCOUNT, replace(WHOLE, mode=KeyMode.TEST)) == Counts(sent=1, delivered=1)
    assert await history.store.count_activity(OTHER, WHOLE) == Counts(sent=1, delivered=1)


async def test_mail_of_a_domain_that_is_gone_is_known_by_its_author(history: History) -> None:
    for author in ("A <a@sub.one.test>", "\u00c4, B <a@xn--nxasmq6b.test> (at work)"):
        message, (one, *_) = await history.send(1, author=author)
        await history.happen(message, one, EventType.DELIVERED, 1)
    counts = Counts(sent=2, delivered=2)
    assert await history.store.break_down(ACCOUNT, WHOLE, "domain", limit=9) == [Breakdown(id=11, name="one.test", counts=counts)]
    await history.store.remove_domain(DomainId(11), NOW)
    names = [each.name for each in await history.store.break_down(ACCOUNT, WHOLE, "domain", limit=9)]
    assert names == ["sub.one.test", "xn--nxasmq6b.test"]
    assert await history.store.count_activity(ACCOUNT, replace(WHOLE, domain="sub.one.test")) == Counts(sent=1, delivered=1)


async def test_events_count_after_their_message_is_gone(history: History) -> None:
    message, deliveries = await history.send(1, KeyMode.TEST)
    await history.happen(message, deliveries[0], EventType.DELIVERED, 1)
    assert await history.store.delete_messages(created_before=WHOLE.end, limit=9) == 1
    which, counts = replace(WHOLE, mode=KeyMode.TEST), Counts(sent=1, delivered=1)
    assert await history.store.count_activity(ACCOUNT, which) == counts
    assert await history.store.break_down(ACCOUNT, which, "domain", limit=9) == [Breakdown(id=None, name=None, counts=counts)]
    assert await history.store.break_down(ACCOUNT, which, "template", limit=9) == [Breakdown(id=None, name=None, counts=counts)]
    cohorts = await history.store.list_cohorts(ACCOUNT, which, Granularity.MONTH)
    assert [(each.start.day, each.offset, each.counts) for each in cohorts] == [(1, 0, counts), (1, 1, counts)]
    assert await history.store.count_activity(ACCOUNT, replace(which, domain="one.test")) == Counts()


async def test_the_most_sent_come_first_and_others_are_left_out(history: History) -> None:
    for template_id, number in ((TemplateId(21), 1), (TemplateId(22), 3), (None, 2)):
        message, deliveries = await history.send(1, template_id=template_id)
        for delivery_id in deliveries[:number]:
            await history.happen(message, delivery_id, EventType.BOUNCED, 1)
    found = await history.store.break_down(ACCOUNT, WHOLE, "template", limit=2)
    assert [(each.id, each.name, each.counts.sent) for each in found] == [(22, "Bye", 3), (None, None, 2)]


async def test_providers_are_those_whose_servers_took_the_mail(history: History) -> None:
    message, (one, two, three) = await history.send()
    await history.happen(message, one, EventType.DELIVERED, 1, host="aspmx.l.google.com")
    await history.happen(message, one, EventType.COMPLAINED, 2)
    await history.happen(message, two, EventType.BOUNCED, 1, host="mx1.corp.example")
    await history.happen(message, three, EventType.OPENED, 3)
    found = await history.store.break_down(ACCOUNT, WHOLE, "provider", limit=9)
    gmail, others = Counts(sent=1, delivered=1, complained=1), Counts(sent=1, bounced=1, opened=1)
    assert found == [Breakdown(id=None, name="Gmail", counts=gmail), Breakdown(id=None, name="Others", counts=others)]
    later = replace(WHOLE, start=message.created_at + timedelta(hours=2))  # the outcome is older than the period
    assert await history.store.break_down(ACCOUNT, later, "provider", limit=1) == [
        Breakdown(id=None, name="Gmail", counts=Counts(complained=1))
    ]


async def test_mail_is_counted_by_key_and_by_each_of_its_tags(history: History) -> None:
    new = Samples(NOW).api_key()
    await history.store.add_api_key(new)
    for key, tags in ((new.key.id, (("kind", "order"), ("shop", "a"))), (None, (("kind", "order"),)), (None, ())):
        message, (one, *_) = await history.send(api_key_id=key, tags=tags)
        await history.happen(message, one, EventType.DELIVERED, 1)
    found = await history.store.break_down(ACCOUNT, WHOLE, "tag", limit=9)
    assert [(each.name, each.counts.sent) for each in found] == [("kind=order", 2), ("shop=a", 1)]
    found = await history.store.break_down(ACCOUNT, WHOLE, "key", limit=9)
    assert [(each.id, each.name, each.counts.sent) for each in found] == [(None, None, 2), (new.key.id, new.key.name, 1)]


async def test_a_cohort_is_not_followed_for_ever(history: History) -> None:
    message, (one, *_) = await history.send()
    await history.happen(message, one, EventType.DELIVERED, 2)
    await history.happen(message, one, EventType.OPENED, MAX_OFFSETS)
    cohorts = await history.store.list_cohorts(ACCOUNT, WHOLE, Granularity.HOUR)
    assert [each.offset for each in cohorts] == list(range(MAX_OFFSETS))
    assert cohorts[1].counts == Counts(sent=1)
    assert cohorts[-1].counts == Counts(sent=1, delivered=1)


def report(samples: Samples, account_id: AccountId = ACCOUNT) -> ScheduledReport:
    return ScheduledReport(
        id=ReportId(samples.number()),
        account_id=account_id,
        frequency=ReportFrequency.WEEKLY,
        recipients=("a@example.org", "\u00e4@example.org"),
        created_at=NOW,
        due_at=NOW + timedelta(days=7),
    )


async def test_scheduled_reports(store: Store, samples: Samples) -> None:
    first, second, other = report(samples), report(samples), report(samples, OTHER)
    for each in (first, second, other):
        await store.add_scheduled_report(each)
    assert await store.list_scheduled_reports() == [other, second, first]
    assert await store.list_scheduled_reports(ACCOUNT) == [second, first]
    await store.move_scheduled_report(first.id, NOW + timedelta(days=14))
    assert await store.list_scheduled_reports(ACCOUNT) == [second, replace(first, due_at=NOW + timedelta(days=14))]
    await store.remove_scheduled_report(ACCOUNT, second.id)
    assert [each.id for each in await store.list_scheduled_reports()] == [other.id, first.id]
    for attempt in (
        store.move_scheduled_report(second.id, NOW),
        store.remove_scheduled_report(ACCOUNT, second.id),
        store.remove_scheduled_report(ACCOUNT, other.id),
    ):
        with pytest.raises(NotFound):
            await attempt


async def outcomes(attempts: list[Awaitable[Any]]) -> list[str]:
    return sorted(type(each).__name__ for each in await asyncio.gather(*attempts, return_exceptions=True))


async def test_scheduled_reports_have_a_limit_in_each_account(store: Store, samples: Samples) -> None:
    def report(account_id: AccountId = ACCOUNT) -> ScheduledReport:
        number = ReportId(samples.number())
        daily = ReportFrequency.DAILY
        return ScheduledReport(
            id=number, account_id=account_id, frequency=daily, recipients=("a@example.org",), created_at=NOW, due_at=NOW + timedelta(days=1)
        )

    await store.add_scheduled_report(report(OTHER), limit=3)
    attempts: list[Awaitable[Any]] = [store.add_scheduled_report(report(), limit=3) for _ in range(5)]
    assert await outcomes(attempts) == ["LimitReached"] * 2 + ["NoneType"] * 3
    assert len(await store.list_scheduled_reports(ACCOUNT)) == 3
    with pytest.raises(LimitReached, match="3 scheduled reports, the most that it may have: remove one first"):
        await store.add_scheduled_report(report(), limit=3)


async def test_copies_and_reports_to_senders_are_not_counted(store: Store, samples: Samples) -> None:
    new = samples.message(["archive@example.org", "user@example.org"], lease=samples.lease())
    archive, user = new.deliveries
    await store.accept(replace(new, deliveries=(replace(archive, is_copy=True), user)))
    report = samples.message(lease=samples.lease())
    report = replace(report, message=replace(report.message, api_key_id=None, reverse_path=""))
    await store.accept(report)
    for each in (new, report):
        assert each.lease is not None
        outcomes = [
            Outcome(delivery_id=one.id, state=DeliveryState.DELIVERED, due_at=None, reply="", events=(samples.event(EventType.DELIVERED),))
            for one in each.deliveries
        ]
        await store.record_attempt(each.lease, outcomes, NOW)
    which = ReportFilter(mode=KeyMode.LIVE, start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=1))
    assert (await store.count_activity(ACCOUNT, which)).delivered == 1
    (key,) = await store.break_down(ACCOUNT, which, "key", limit=9)
    assert key.counts.sent == 1
    while await store.follow(until=NOW + timedelta(days=1), limit=10):
        pass
    assert (await store.count_activity(ACCOUNT, which)).delivered == 1
