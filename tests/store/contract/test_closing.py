"""The end of an account."""

from datetime import timedelta

import pytest

from sendryd.model.apikey import KeyMode
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, EventId
from sendryd.model.people import LinkPurpose
from sendryd.store.base import MessageFilter, NewEvent, QueueFilter, Store
from sendryd.store.errors import MailWaits, NotFound
from sendryd.testing.samples import ACCOUNT, NOW, Samples

from .test_inbound import mail
from .test_people import audit, joined, link, session


async def close(store: Store, samples: Samples, account_id: AccountId = ACCOUNT) -> None:
    await store.close_account(account_id, "default", NOW, audit(samples, "account.deleted"))


async def test_an_account_ends_with_its_keys_domains_and_people(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    await store.start_session(session(who), None)
    await store.add_link(link(b"more", LinkPurpose.INVITATION))
    key, domain = samples.api_key(), samples.domain()
    await store.add_api_key(key)
    await store.add_domain(domain)
    version = await store.read_config_version()
    await close(store, samples)
    assert await store.find_session(b"secret") is None
    assert await store.get_person(who.id) is None
    assert await store.list_members(ACCOUNT) == []
    assert not await store.has_owner(ACCOUNT)
    assert await store.find_link(b"more", LinkPurpose.INVITATION, NOW) is None
    assert [each.revoked_at for each in await store.list_api_keys(ACCOUNT)] == [NOW]
    assert await store.list_domains(ACCOUNT) == []
    assert await store.read_config_version() > version
    assert [each.action for each in (await store.list_audit(ACCOUNT, limit=1)).items] == ["account.deleted"]
    account = await store.get_account(ACCOUNT)
    assert account
    assert account.name == "default"
    _, again = await joined(store, samples)  # the next owner
    assert [each.id for each in await store.list_members(ACCOUNT)] == [again.id]


async def test_a_person_of_another_account_stays(store: Store, samples: Samples) -> None:
    who, _ = await joined(store, samples)
    other = AccountId(77)
    await store.ensure_account(other, "other", NOW)
    await close(store, samples, other)
    assert await store.get_person(who.id) == who
    assert len(await store.list_members(ACCOUNT)) == 1


async def test_an_account_whose_mail_waits_stays_as_it_is(store: Store, samples: Samples) -> None:
    new = samples.message(["a@one.test", "b@two.test"], due_at=NOW + timedelta(hours=1))
    await store.accept(new)
    await store.hold(QueueFilter(domain="one.test"), NOW)
    who, _ = await joined(store, samples)
    assert await store.count_waiting(ACCOUNT) == 2
    with pytest.raises(MailWaits) as refused:
        await close(store, samples)
    assert refused.value.number == 2
    assert await store.get_person(who.id) == who
    assert await store.count_waiting(AccountId(77)) == 0
    with pytest.raises(NotFound):
        await close(store, samples, AccountId(77))


async def test_mail_that_was_sent_stays_until_its_retention_ends(store: Store, samples: Samples) -> None:
    new = samples.message(["a@one.test"], due_at=NOW + timedelta(hours=1))
    await store.accept(new)

    def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
        return NewEvent(id=EventId(samples.number()), type=event_type, metadata=metadata)

    assert await store.cancel(QueueFilter(message_id=new.message.id), NOW, make_event) == 1
    await close(store, samples)
    assert len((await store.list_messages(ACCOUNT, MessageFilter(mode=KeyMode.LIVE), limit=9)).items) == 1


async def test_mail_that_came_in_goes_with_its_account(store: Store, samples: Samples) -> None:
    for account_id in (ACCOUNT, AccountId(77)):
        await store.ensure_account(account_id, "one", NOW)
        await store.add_api_key(samples.api_key(account_id=account_id))
    gone, other = mail(samples), mail(samples, AccountId(77))
    assert await store.add_inbound([gone, other]) == {gone.id, other.id}
    await close(store, samples)
    assert await store.get_inbound(ACCOUNT, gone.id) is None
    assert await store.get_inbound(other.account_id, other.id) == other
    late, kept = mail(samples), mail(samples, AccountId(77))
    assert await store.add_inbound([late, kept]) == {kept.id}
    assert await store.get_inbound(ACCOUNT, late.id) is None
    await store.add_domain(samples.domain())
    assert await store.add_inbound([late]) == {late.id}


async def test_an_account_has_a_reader_until_it_ends_and_from_its_next_owner_on(store: Store, samples: Samples) -> None:
    assert not await store.has_reader(ACCOUNT)
    await store.add_api_key(samples.api_key())
    assert await store.has_reader(ACCOUNT)
    await close(store, samples)
    assert not await store.has_reader(ACCOUNT)
    await joined(store, samples)
    assert await store.has_reader(ACCOUNT)
    await close(store, samples)
    assert not await store.has_reader(ACCOUNT)
