"""What people change of one message."""

import pytest

from sendryd.accounts.audit import Audit, By, Client
from sendryd.accounts.emails import EmailChange, Emails
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.event import EventType
from sendryd.model.ids import MESSAGE_PREFIX, AccountId, format_id
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import EventFilter, QueueFilter, Store
from sendryd.store.errors import NotFound
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, Samples

ANN = By(account_id=ACCOUNT, actor="ann@acme.example", client=Client(address="192.0.2.1"))


@pytest.fixture
def emails(store: Store, clock: ManualClock, ids: IdSource) -> Emails:
    return Emails(store, Audit(store, clock=clock, ids=ids), clock=clock, ids=ids)


async def test_each_change_moves_what_it_may_and_is_in_the_audit_once(store: Store, emails: Emails) -> None:
    new = Samples().message(["a@one.test", "b@two.test"])
    await store.accept(new)
    message_id = new.message.id
    assert await emails.change(message_id, EmailChange.TRY_NOW, ANN) == 2
    assert await emails.change(message_id, EmailChange.HOLD, ANN) == 2
    assert await emails.change(message_id, EmailChange.HOLD, ANN) == 0
    assert await emails.change(message_id, EmailChange.RELEASE, ANN) == 2
    assert await emails.change(message_id, EmailChange.CANCEL, ANN) == 2
    found = await store.list_queue(QueueFilter(message_id=message_id))
    assert {each.state for each in found} == {DeliveryState.CANCELLED}
    events = await store.list_events(ACCOUNT, EventFilter(mode=KeyMode.LIVE, type=EventType.CANCELLED), limit=10)
    assert [event.metadata["by"] for event in events.items] == ["ann@acme.example"] * 2
    audit = (await store.list_audit(ACCOUNT, limit=10)).items
    assert [entry.action for entry in audit] == ["email.cancelled", "email.released", "email.held", "email.tried"]
    assert {(entry.actor, entry.address, entry.target) for entry in audit} == {
        ("ann@acme.example", "192.0.2.1", format_id(MESSAGE_PREFIX, message_id))
    }
    last = await emails.last_change(ACCOUNT, message_id)
    assert last == audit[0]


async def test_another_accounts_message_is_not_found(store: Store, emails: Emails) -> None:
    new = Samples().message(["a@one.test"])
    await store.accept(new)
    stranger = By(account_id=AccountId(2), actor="eve@evil.example", client=Client())
    with pytest.raises(NotFound):
        await emails.change(new.message.id, EmailChange.CANCEL, stranger)
    found = await store.list_queue(QueueFilter(message_id=new.message.id))
    assert [each.state for each in found] == [DeliveryState.QUEUED]
