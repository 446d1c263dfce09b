"""SMTP log: who was refused at the door, and with which reply."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.refused import domain_of, whose
from sendryd.dashboard.snippets import try_door
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.ids import API_KEY_PREFIX, SMTP_REFUSAL_PREFIX, SmtpRefusalId, format_id, parse_id
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.policy.refusal import RefusalKey

PAGE: Final = 50
MAX_SEARCH: Final = 320  # characters: the longest address


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A refusal."""

    id: str
    at: Moment
    address: str
    helo: str
    encryption: str
    key: str
    step: str
    sender: str
    recipients: tuple[str, ...]
    reply: str
    more: str  # `and 12 more`; empty if there were none
    link: str  # where its cause is mended
    link_text: str


async def show(visit: Visit) -> Response:
    """`GET /log/smtp`."""
    q = visit.query("q").strip()[:MAX_SEARCH]
    number = parse_id(visit.query("before"), SMTP_REFUSAL_PREFIX)
    found = await visit.needs.store.page_smtp_refusals(
        whose(visit), text=q or None, limit=PAGE, before=SmtpRefusalId(number) if number is not None else None
    )
    older = ""
    if found.has_more:
        older = "/log/smtp?" + urlencode({"q": q, "before": format_id(SMTP_REFUSAL_PREFIX, found.items[-1].id)})
    values = {
        "rows": tuple(_row(each) for each in found.items),
        "q_smtp": q,
        "older": older,
        "has_filter": bool(q or number is not None),
        "smtp": visit.needs.smtp,
        "lines": try_door(visit.place("", "user@example.org")),
    }
    return visit.show("smtp_log.html", "smtp-log", values)


def _row(refusal: SmtpRefusal) -> Row:
    is_unverified = refusal.cause == RefusalKey.DOMAIN_NOT_VERIFIED.value
    return Row(
        id=format_id(SMTP_REFUSAL_PREFIX, refusal.id),
        at=moment_of(refusal.created_at),
        address=refusal.address,
        helo=refusal.helo,
        encryption="TLS" if refusal.is_encrypted else "not encrypted",
        key=format_id(API_KEY_PREFIX, refusal.api_key_id) if refusal.api_key_id is not None else "",
        step=refusal.step,
        sender=refusal.sender,
        recipients=refusal.recipients,
        reply=refusal.reply,
        more=f"and {refusal.more:,} more of this address" if refusal.more else "",
        link=f"/domains?{urlencode({'name': domain_of(refusal)})}"
        if is_unverified
        else "/keys"
        if refusal.cause == RefusalKey.AUTH_FAILED.value
        else "",
        link_text="Verify it" if is_unverified else "API keys",
    )


PAGES: Final = (Page(path="/log/smtp", get=show),)
