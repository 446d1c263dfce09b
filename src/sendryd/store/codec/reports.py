"""Scheduled reports, the logs of both doors, and rows of `scheduled_report`, `api_request`, `smtp_refusal`
and `blocked_address`.
"""

import json
from typing import Any

from sendryd.model.apirequest import ApiRequest
from sendryd.model.blockedaddress import BlockedAddress
from sendryd.model.ids import (
    API_REQUEST_PREFIX,
    REPORT_PREFIX,
    SMTP_REFUSAL_PREFIX,
    AccountId,
    ApiKeyId,
    ApiRequestId,
    ReportId,
    SmtpRefusalId,
)
from sendryd.model.report import ReportFrequency, ScheduledReport
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import clean, clean_or_none, from_ms, from_ms_or_none, to_json, to_ms, to_ms_or_none


def report_row(report: ScheduledReport) -> dict[str, Any]:
    """The columns of a scheduled report."""
    return {
        "id": report.id,
        "account_id": report.account_id,
        "frequency": report.frequency.value,
        "recipients": to_json(report.recipients),
        "created_at": to_ms(report.created_at),
        "due_at": to_ms(report.due_at),
    }


@row_of(REPORT_PREFIX)
def read_report(row: Row) -> ScheduledReport:
    """A scheduled report. Raises `RowUnreadable`."""
    return ScheduledReport(
        id=ReportId(row["id"]),
        account_id=AccountId(row["account_id"]),
        frequency=ReportFrequency(row["frequency"]),
        recipients=tuple(json.loads(row["recipients"])),
        created_at=from_ms(row["created_at"]),
        due_at=from_ms(row["due_at"]),
    )


def request_row(request: ApiRequest) -> dict[str, Any]:
    """The columns of a request."""
    return {
        "id": request.id,
        "account_id": request.account_id,
        "api_key_id": request.api_key_id,
        "method": clean(request.method),
        "path": clean(request.path),
        "status_code": request.status_code,
        "request_body": clean_or_none(request.request_body),
        "response_body": clean_or_none(request.response_body),
        "duration_ms": request.duration_ms,
        "user_agent": clean_or_none(request.user_agent),
        "created_at": to_ms(request.created_at),
    }


@row_of(API_REQUEST_PREFIX)
def read_request(row: Row) -> ApiRequest:
    """A request. Raises `RowUnreadable`."""
    return ApiRequest(
        id=ApiRequestId(row["id"]),
        account_id=AccountId(row["account_id"]),
        api_key_id=ApiKeyId(row["api_key_id"]),
        method=row["method"],
        path=row["path"],
        status_code=row["status_code"],
        request_body=row["request_body"],
        response_body=row["response_body"],
        duration_ms=row["duration_ms"],
        user_agent=row["user_agent"],
        created_at=from_ms(row["created_at"]),
    )


def refusal_row(refusal: SmtpRefusal) -> dict[str, Any]:
    """The columns of a refusal."""
    return {
        "id": refusal.id,
        "account_id": refusal.account_id,
        "api_key_id": refusal.api_key_id,
        "address": clean(refusal.address),
        "helo": clean(refusal.helo),
        "is_encrypted": int(refusal.is_encrypted),
        "step": clean(refusal.step),
        "cause": refusal.cause,
        "reply": clean(refusal.reply),
        "sender": clean(refusal.sender),
        "recipient": clean(" ".join(refusal.recipients)),
        "more": refusal.more,
        "created_at": to_ms(refusal.created_at),
    }


@row_of(SMTP_REFUSAL_PREFIX)
def read_refusal(row: Row) -> SmtpRefusal:
    """A refusal. Raises `RowUnreadable`."""
    return SmtpRefusal(
        id=SmtpRefusalId(row["id"]),
        account_id=None if row["account_id"] is None else AccountId(row["account_id"]),
        api_key_id=None if row["api_key_id"] is None else ApiKeyId(row["api_key_id"]),
        address=row["address"],
        helo=row["helo"],
        is_encrypted=bool(row["is_encrypted"]),
        step=row["step"],
        cause=row["cause"],
        reply=row["reply"],
        sender=row["sender"],
        recipients=tuple(row["recipient"].split()),
        more=row["more"],
        created_at=from_ms(row["created_at"]),
    )


def blocked_row(blocked: BlockedAddress) -> dict[str, Any]:
    """The columns of a blocked address."""
    return {
        "network": blocked.network,
        "blocked_by": blocked.by,
        "reason": blocked.reason,
        "blocked_at": to_ms(blocked.since),
        "ends_at": to_ms_or_none(blocked.until),
    }


def read_blocked(row: Row) -> BlockedAddress:
    """A blocked address."""
    return BlockedAddress(
        network=row["network"],
        by=row["blocked_by"],
        reason=row["reason"],
        since=from_ms(row["blocked_at"]),
        until=from_ms_or_none(row["ends_at"]),
    )
