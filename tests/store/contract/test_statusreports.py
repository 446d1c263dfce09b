"""Reports that senders are still to get."""

from dataclasses import replace
from datetime import timedelta

from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import DeliveryId
from sendryd.policy.statusreport import Report
from sendryd.store.base import MailStore, Outcome
from sendryd.testing.samples import NOW, Samples

LATER = NOW + timedelta(hours=5)
ALL = Report.FAILURE | Report.DELAY | Report.SUCCESS


async def due(store: MailStore, *, late: bool = True) -> list[tuple[DeliveryId, Report, str | None]]:
    found = await store.list_due_reports(delayed_before=LATER if late else NOW, limit=10)
    return [(each.delivery.id, each.report, each.orcpt) for each in found]


async def test_reports_are_due_once_there_is_something_to_tell(store: MailStore, samples: Samples) -> None:
    ends = {
        "a.test": DeliveryState.BOUNCED,
        "b.test": DeliveryState.DELIVERED,
        "c.test": DeliveryState.QUEUED,
        "d.test": DeliveryState.BOUNCED,
    }
    new = samples.message([f"x@{name}" for name in ends])
    wanted = (ALL, ALL, ALL, Report.SUCCESS)
    deliveries = [replace(each, report=report, orcpt="rfc822;o") for each, report in zip(new.deliveries, wanted, strict=True)]
    await store.accept(replace(new, deliveries=tuple(deliveries)))
    await store.accept(samples.message())
    failed, arrived, delayed, _ = (each.id for each in deliveries)
    assert await due(store) == []  # not tried yet
    lease = samples.lease()
    for claim in await store.claim_deliveries(now=LATER, lease=lease, limit=9, busy=frozenset(), per_domain=9):
        state = ends.get(claim.domain, DeliveryState.DELIVERED)
        due_at = LATER if state is DeliveryState.QUEUED else None
        await store.record_attempt(
            lease, [Outcome(delivery_id=claim.deliveries[0].id, state=state, due_at=due_at, reply="", events=())], LATER
        )
    expected = [(failed, Report.FAILURE, "rfc822;o"), (arrived, Report.SUCCESS, "rfc822;o"), (delayed, Report.DELAY, "rfc822;o")]
    assert await due(store) == expected
    assert await due(store, late=False) == expected[:2]
    for number, report, _ in expected:
        await store.settle_report(number, report)
    assert await due(store) == []
    await store.settle_report(DeliveryId(1), Report.FAILURE)  # of a delivery that is not there
