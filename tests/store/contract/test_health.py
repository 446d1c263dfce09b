"""The history of findings, silences, alerts."""

from dataclasses import replace
from datetime import timedelta

from sendryd.model.attention import Alert, Silence
from sendryd.model.ids import AccountId, AuditId
from sendryd.model.people import AuditEntry
from sendryd.policy.health import Check, Finding, Verdict
from sendryd.policy.health.history import FindingSpan
from sendryd.store.base import Store
from sendryd.testing.samples import ACCOUNT, NOW, Samples

HOUR = timedelta(hours=1)
FINDING = Finding(check=Check.PTR, verdict=Verdict.WRONG, sentence="No PTR.", fix="Set it.", about="192.0.2.7", has_deadline=True)


def audit(samples: Samples) -> AuditEntry:
    return AuditEntry(
        id=AuditId(samples.number()),
        account_id=ACCOUNT,
        actor="a@b.example",
        address="",
        action="attention.silenced",
        target="x",
        created_at=NOW,
    )


async def test_findings_are_replaced_ended_and_forgotten(store: Store) -> None:
    first = FindingSpan(finding=FINDING, began_at=NOW)
    other = FindingSpan(finding=Finding(check=Check.DISK, verdict=Verdict.RIGHT, sentence="Room."), began_at=NOW + HOUR)
    await store.save_finding_spans([first, other], keep_since=NOW)
    assert await store.list_finding_spans() == [first, other]
    told = replace(first, finding=replace(FINDING, sentence="Still no PTR."))
    ended = replace(other, ended_at=NOW + 2 * HOUR)
    await store.save_finding_spans([told, ended], keep_since=NOW)
    assert await store.list_finding_spans() == [told]
    assert await store.list_finding_spans(ended_since=NOW + 2 * HOUR) == [told, ended]
    assert await store.list_finding_spans(ended_since=NOW + 3 * HOUR) == [told]
    await store.save_finding_spans([], keep_since=NOW + 3 * HOUR)
    assert await store.list_finding_spans(ended_since=NOW) == [told]


async def test_a_silence_ends_by_itself_or_by_hand(store: Store, samples: Samples) -> None:
    silence = Silence(account_id=ACCOUNT, name="health:ptr", until=NOW + HOUR, by="Mara", since=NOW)
    await store.set_silence(silence, audit(samples))
    longer = replace(silence, until=NOW + 2 * HOUR)
    await store.set_silence(longer, audit(samples))
    assert await store.list_silences(ACCOUNT, NOW) == [longer]
    assert await store.list_silences(AccountId(2), NOW) == []
    assert await store.list_silences(ACCOUNT, NOW + 2 * HOUR) == []
    assert await store.end_silence(ACCOUNT, "health:ptr", audit(samples))
    assert not await store.end_silence(ACCOUNT, "health:ptr", audit(samples))
    assert await store.list_silences(ACCOUNT, NOW) == []
    assert [each.action for each in (await store.list_audit(ACCOUNT, limit=9)).items] == ["attention.silenced"] * 3


async def test_alerts_are_kept_with_what_was_told(store: Store) -> None:
    alert = Alert(account_id=ACCOUNT, name="held:", kind="held", sentence="2 mails are held", began_at=NOW)
    await store.save_alerts([alert], keep_since=NOW)
    told = replace(alert, told_at=NOW, sentence="3 mails are held")
    await store.save_alerts([told], keep_since=NOW)
    assert await store.list_alerts(ACCOUNT) == [told]
    ended = replace(told, ended_at=NOW + HOUR, end_told_at=NOW + HOUR)
    again = replace(alert, began_at=NOW + 2 * HOUR)
    await store.save_alerts([ended, again], keep_since=NOW)
    assert await store.list_alerts(ACCOUNT) == [ended, again]
    await store.save_alerts([], keep_since=NOW + 2 * HOUR)
    assert await store.list_alerts(ACCOUNT) == [again]
