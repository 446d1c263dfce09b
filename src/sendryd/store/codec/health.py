"""Findings, silences and alerts: rows by column name."""

from typing import Any

from sendryd.model.attention import Alert, Silence
from sendryd.model.ids import AccountId
from sendryd.policy.health import Check, Finding, Verdict
from sendryd.policy.health.history import FindingSpan
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import clean, from_ms, from_ms_or_none, to_ms, to_ms_or_none


def span_row(span: FindingSpan) -> dict[str, Any]:
    """A span as stored."""
    finding = span.finding
    return {
        "check_name": finding.check.value,
        "about": clean(finding.about),
        "verdict": finding.verdict.value,
        "sentence": clean(finding.sentence),
        "fix": clean(finding.fix),
        "has_deadline": int(finding.has_deadline),
        "began_at": to_ms(span.began_at),
        "ended_at": to_ms_or_none(span.ended_at),
    }


def read_span(row: Row) -> FindingSpan:
    """A span from the columns of `health_finding`."""
    finding = Finding(
        check=Check(row["check_name"]),
        verdict=Verdict(row["verdict"]),
        sentence=row["sentence"],
        fix=row["fix"],
        about=row["about"],
        has_deadline=bool(row["has_deadline"]),
    )
    return FindingSpan(finding=finding, began_at=from_ms(row["began_at"]), ended_at=from_ms_or_none(row["ended_at"]))


def silence_row(silence: Silence) -> dict[str, Any]:
    """A silence as stored."""
    return {
        "account_id": silence.account_id,
        "name": clean(silence.name),
        "ends_at": to_ms(silence.until),
        "set_by": clean(silence.by),
        "set_at": to_ms(silence.since),
    }


def read_silence(row: Row) -> Silence:
    """A silence from the columns of `silence`."""
    return Silence(
        account_id=AccountId(row["account_id"]),
        name=row["name"],
        until=from_ms(row["ends_at"]),
        by=row["set_by"],
        since=from_ms(row["set_at"]),
    )


def alert_row(alert: Alert) -> dict[str, Any]:
    """An alert as stored."""
    return {
        "account_id": alert.account_id,
        "name": clean(alert.name),
        "kind": alert.kind,
        "sentence": clean(alert.sentence),
        "began_at": to_ms(alert.began_at),
        "told_at": to_ms_or_none(alert.told_at),
        "ended_at": to_ms_or_none(alert.ended_at),
        "end_told_at": to_ms_or_none(alert.end_told_at),
    }


def read_alert(row: Row) -> Alert:
    """An alert from the columns of `alert`."""
    return Alert(
        account_id=AccountId(row["account_id"]),
        name=row["name"],
        kind=row["kind"],
        sentence=row["sentence"],
        began_at=from_ms(row["began_at"]),
        told_at=from_ms_or_none(row["told_at"]),
        ended_at=from_ms_or_none(row["ended_at"]),
        end_told_at=from_ms_or_none(row["end_told_at"]),
    )
