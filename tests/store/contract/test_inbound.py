"""Mail that came in: listed, posted, deleted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import AccountId, InboundId
from sendryd.model.inbound import InboundAttachment, InboundContent, InboundMail
from sendryd.model.report import Granularity
from sendryd.store.base import ReportFilter, Store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

CONTENT = InboundContent(
    author="ada@example.net",
    to=("a@example.test",),
    cc=("b@example.test",),
    subject="Grüße",
    text="Hi",
    headers=(("Received", "1"), ("Received", "2")),
    attachments=(InboundAttachment(filename="a.pdf", content_type="application/pdf", size=3),),
)
OTHER = AccountId(2)


@pytest.fixture(autouse=True)
async def accounts(store: Store, samples: Samples) -> None:
    """Both accounts have somebody who reads."""
    for account_id in (ACCOUNT, OTHER):
        await store.ensure_account(account_id, "one", NOW)
        await store.add_api_key(samples.api_key(account_id=account_id))


def mail(samples: Samples, account_id: AccountId = ACCOUNT) -> InboundMail:
    return InboundMail(id=InboundId(samples.number()), account_id=account_id, content=CONTENT, created_at=NOW, due_at=NOW)


async def test_mails_are_kept_whole_and_listed_newest_first(store: Store, samples: Samples) -> None:
    mails = [mail(samples) for _ in range(3)]
    await store.add_inbound([*mails, mail(samples, OTHER)])
    page = await store.page_inbound(ACCOUNT, limit=2)
    assert (list(page.items), page.has_more) == (mails[:0:-1], True)
    assert list((await store.page_inbound(ACCOUNT, limit=2, before=mails[1].id)).items) == [mails[0]]
    assert await store.get_inbound(ACCOUNT, mails[0].id) == mails[0]
    assert await store.get_inbound(OTHER, mails[0].id) is None


async def test_mails_are_posted_until_that_has_an_end(store: Store, samples: Samples) -> None:
    one, two = mail(samples), mail(samples)
    await store.add_inbound([one, two])
    assert {each.id for each in await store.list_inbound_due(NOW, limit=9)} == {one.id, two.id}
    later = NOW + timedelta(minutes=1)
    await store.note_forwarding(one.id, is_forwarded=True, due_at=None)
    await store.note_forwarding(two.id, is_forwarded=False, due_at=later)
    await store.note_forwarding(InboundId(5), is_forwarded=True, due_at=None)  # gone
    assert await store.list_inbound_due(NOW, limit=9) == []
    assert await store.list_inbound_due(later, limit=9) == [replace(two, attempts=1, due_at=later)]
    assert await store.get_inbound(ACCOUNT, one.id) == replace(one, is_forwarded=True, attempts=1, due_at=None)


async def test_mails_are_counted_where_no_filter_leaves_them_out(store: Store, samples: Samples) -> None:
    await store.add_inbound([mail(samples), mail(samples), mail(samples, OTHER)])
    which = ReportFilter(mode=KeyMode.LIVE, start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=1))
    assert (await store.count_activity(ACCOUNT, which)).received == 2
    (bucket,) = await store.list_activity(ACCOUNT, which, Granularity.HOUR)
    assert bucket.counts.received == 2
    for other in (replace(which, mode=KeyMode.TEST), replace(which, domain="example.test"), replace(which, end=NOW)):
        assert (await store.count_activity(ACCOUNT, other)).received == 0


async def test_old_mails_are_deleted(store: Store, samples: Samples) -> None:
    await store.add_inbound([mail(samples) for _ in range(3)])
    assert await store.delete_inbound(created_before=NOW - timedelta(days=1), limit=9) == 0
    assert await store.delete_inbound(created_before=NOW + timedelta(days=1), limit=2) == 2
    assert await store.delete_inbound(created_before=NOW + timedelta(days=1), limit=2) == 1


async def test_a_verified_domain_receives_for_its_account(store: Store, samples: Samples) -> None:
    await store.ensure_account(OTHER, "other", NOW)
    pending, verified = samples.domain("a.test"), samples.domain("b.test", OTHER)
    verified = replace(verified, domain=replace(verified.domain, status=DomainStatus.VERIFIED))
    for each in (pending, verified):
        await store.add_domain(each)
    found = [await store.find_receiving_account(name) for name in ("a.test", "b.test", "sub.b.test", "")]
    assert found == [None, OTHER, None, None]
