"""One node: earlier boots of it are dead, nothing else is."""

from datetime import timedelta
from pathlib import Path

from sendryd.app.cluster import DELIVERY, WEBHOOKS, OneNode
from sendryd.app.settings import load_settings
from sendryd.model.event import EventType
from sendryd.policy.crashes import pause_after_crash
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.store.base import Cluster, Engagement, Owner
from sendryd.testing.clock import ManualClock
from sendryd.testing.samples import ACCOUNT, NOW, Samples
from sendryd.testing.stores import open_new_store

BEFORE, NOW_RUNNING = Owner(node="local", boot=1), Owner(node="local", boot=2)
ELSEWHERE = Owner(node="other", boot=1)


async def test_leases_of_earlier_boots_are_returned(tmp_path: Path) -> None:
    store, samples = open_new_store(tmp_path / "data"), Samples()
    await store.ensure_account(ACCOUNT, "default", NOW)
    await store.add_webhook(samples.webhook())
    for owner in (BEFORE, NOW_RUNNING, ELSEWHERE):
        new = samples.message(lease=samples.lease(owner))
        await store.accept(new)
        event = samples.event(EventType.DELIVERED)
        await store.record_engagements([Engagement(delivery_id=new.deliveries[0].id, event=event, happened_at=NOW)])
        await store.fan_out(limit=9)
        claimed = await store.claim_notifications(now=NOW, lease=samples.lease(owner), limit=9, busy=frozenset(), per_webhook=9)
        assert len(claimed) == 1
    cluster: Cluster = OneNode(store, NOW_RUNNING)
    returned = await cluster.return_dead_leases(now=NOW, pause=pause_after_crash)
    assert (len(returned.deliveries), returned.notifications) == (1, 1)
    assert [len(await store.list_leased(owner)) for owner in (BEFORE, NOW_RUNNING, ELSEWHERE)] == [0, 1, 1]
    assert (await cluster.return_dead_leases(now=NOW + timedelta(days=1), pause=pause_after_crash)).deliveries == []
    await store.aclose()


async def test_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    store, samples, clock = open_new_store(tmp_path / "data"), Samples(), ManualClock()
    node = OneNode(store, NOW_RUNNING)
    limited = load_settings({"SENDRYD_ACCOUNT_QUOTA": "1/1h", "SENDRYD_API_RATE_LIMIT": "1/1m"})
    quotas, rates = node.quotas(limited, clock), node.rate_limits(limited)
    assert quotas is not None
    assert [await quotas.take([samples.message().message]) for _ in range(2)] == [None, Refusal(RefusalKey.QUOTA_REACHED, "this account")]
    assert rates is not None
    assert [rates.take(1, 0.0).wait for _ in range(2)] == [0, 60]
    free = load_settings({"SENDRYD_API_RATE_LIMIT": "off"})
    assert (node.quotas(free, clock), node.rate_limits(free)) == (None, None)
    await store.aclose()


async def test_each_kind_of_work_has_a_doorbell_of_its_own(tmp_path: Path) -> None:
    store = open_new_store(tmp_path / "data")
    node = OneNode(store, NOW_RUNNING)
    mail, webhooks = node.doorbell(DELIVERY), node.doorbell(WEBHOOKS)
    mail.set()
    assert await node.doorbell_here(DELIVERY).wait(None)
    assert not await webhooks.wait(0)
    await store.aclose()
