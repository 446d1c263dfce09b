"""Delivery status notifications in the form of the standard (RFC 3464), and the many that nearly have it."""

import re
from collections.abc import Sequence
from typing import Final

from sendryd.message.reports.fields import Group, address_of, untyped
from sendryd.message.reports.report import MAX_RECIPIENTS, Action, RecipientStatus, Report, ReportKind

_STATUS: Final = re.compile(r"(?<![0-9.])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")
_ACTIONS: Final = {each.value: each for each in Action} | {"failure": Action.FAILED, "fail": Action.FAILED, "delay": Action.DELAYED}
_BY_CLASS: Final = {"2": Action.DELIVERED, "4": Action.DELAYED, "5": Action.FAILED}
_OF_RECIPIENT: Final = ("final-recipient", "original-recipient", "action", "status", "diagnostic-code", "x-actual-recipient")


def read_status(groups: Sequence[Group], returned: str) -> Report | None:
    """The report in the groups of a delivery-status part; None if they say nothing of any recipient."""
    per_message: Group = next((each for each in groups if "reporting-mta" in each or "original-envelope-id" in each), {})
    about = [each for each in groups if any(name in each for name in _OF_RECIPIENT)]
    recipients = tuple(found for each in about[:MAX_RECIPIENTS] if (found := _read_recipient(each)) is not None)
    if not recipients:
        return None
    named = " ".join(address for each in recipients for address in (each.final_recipient, each.original_recipient))
    return Report(
        kind=ReportKind.STATUS,
        recipients=recipients,
        envelope_id=per_message.get("original-envelope-id", ""),
        reporting_mta=untyped(per_message.get("reporting-mta", "")),
        returned=f"{returned}\n{named}",
    )


def _read_recipient(group: Group) -> RecipientStatus | None:
    status = find_status(group.get("status", "")) or find_status(group.get("diagnostic-code", ""))
    word = group.get("action", "").partition("(")[0].strip().lower()
    action = _ACTIONS.get(word) or _BY_CLASS.get(status[:1])
    if action is None:
        return None
    return RecipientStatus(
        action=action,
        status=status,
        diagnostic=untyped(group.get("diagnostic-code", "")),
        final_recipient=address_of(group.get("final-recipient", "") or group.get("x-actual-recipient", "")),
        original_recipient=address_of(group.get("original-recipient", "")),
        remote_mta=untyped(group.get("remote-mta", "")),
    )


def find_status(text: str) -> str:
    """The first enhanced status code (RFC 3463) in a text; empty if there is none."""
    match = _STATUS.search(text)
    return match[1] if match else ""
