"""Suspended accounts."""

from dataclasses import replace
from datetime import timedelta

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import AccountId
from sendryd.store.base import HeldBy, MailStore, QueueFilter, SuspendedAccount
from sendryd.testing.samples import ACCOUNT, NOW, Samples

OTHER = AccountId(2)
SUSPENSION = SuspendedAccount(account_id=ACCOUNT, by="Mara", since=NOW, until=NOW + timedelta(hours=1), reason="spam")


async def test_an_account_is_suspended_once_and_forgotten_when_it_is_over(store: MailStore) -> None:
    assert await store.suspend_account(SUSPENSION)
    assert not await store.suspend_account(replace(SUSPENSION, by="Ada"))
    assert await store.suspend_account(replace(SUSPENSION, account_id=OTHER, until=None, reason=""))
    first, second = await store.list_suspended_accounts()
    assert (first, second.account_id, second.until) == (SUSPENSION, OTHER, None)
    assert [each.is_over(NOW + timedelta(hours=1)) for each in (first, second)] == [True, False]
    assert await store.end_suspension(OTHER, NOW)
    assert not await store.end_suspension(AccountId(3), NOW)
    assert (await store.list_suspended_accounts())[1].is_over(NOW)
    await store.forget_suspension(OTHER)
    assert await store.list_suspended_accounts() == [SUSPENSION]


async def test_what_a_suspension_holds_is_told_from_what_a_person_holds(store: MailStore, samples: Samples) -> None:
    held, suspended = samples.message(["a@one.test"]), samples.message(["b@one.test"])
    await store.accept(held)
    await store.accept(suspended)
    await store.hold(QueueFilter(message_id=held.message.id), NOW, by=HeldBy(by="Ada", since=NOW, why="wait"))
    assert await store.hold(QueueFilter(account_id=ACCOUNT), NOW, by=SUSPENSION.note) == 1
    (first, _) = await store.list_queue(QueueFilter())
    assert first.held_by == SUSPENSION.note
    assert "suspended until 2026-01-02 04:04 UTC: spam" in SUSPENSION.note.why
    assert await store.release_held(QueueFilter(account_id=ACCOUNT, is_suspended=True), NOW) == 1
    assert {each.forward_path: each.state.value for each in await store.list_queue(QueueFilter())} == {
        "a@one.test": "held",
        "b@one.test": "queued",
    }


async def test_a_person_takes_over_what_a_suspension_holds(store: MailStore, samples: Samples) -> None:
    ada = HeldBy(by="Ada", since=NOW, why="legal hold")
    new = samples.message(["a@one.test", "b@one.test"])
    await store.accept(new)
    await store.hold(QueueFilter(account_id=ACCOUNT), NOW, by=SUSPENSION.note)
    one = QueueFilter(delivery_id=new.deliveries[0].id)
    assert await store.hold(replace(one, states=frozenset({DeliveryState.QUEUED})), NOW, by=ada) == 0
    assert await store.hold(one, NOW, by=ada) == 1
    assert await store.hold(one, NOW, by=ada) == 0, "it is hers already"
    assert await store.hold(QueueFilter(account_id=ACCOUNT), NOW, by=SUSPENSION.note) == 0
    assert await store.release_held(QueueFilter(account_id=ACCOUNT, is_suspended=True), NOW) == 1
    found = {each.forward_path: (each.state.value, each.held_by) for each in await store.list_queue(QueueFilter())}
    assert found == {"a@one.test": ("held", ada), "b@one.test": ("queued", None)}
