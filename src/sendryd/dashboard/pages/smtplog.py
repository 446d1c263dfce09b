"""SMTP log: who came to the door, what they did, and what was refused with which reply."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.accounts.smtp_sessions import SmtpSession, SmtpSums
from sendryd.dashboard.app import Page
from sendryd.dashboard.live import Source
from sendryd.dashboard.refused import domain_of, whose
from sendryd.dashboard.snippets import try_door
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.ids import API_KEY_PREFIX, SMTP_REFUSAL_PREFIX, SmtpRefusalId, format_id, parse_id
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.policy.explain.words import count, span
from sendryd.policy.refusal import RefusalKey

PAGE: Final = 50
PARTS: Final = {"smtp-sessions": "smtp_sessions.html", "smtp-refusals": "smtp_refusals.html"}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session."""

    at: Moment
    is_open: bool
    lasted: str
    address: str
    helo: str
    tls: str
    key: str
    name: str
    mails: str  # `3 mails to 5 recipients`
    refusals: str  # empty if nothing was refused
    last_refusal: str


@dataclass(frozen=True, slots=True)
class SumsRow:
    """What a key has done lately."""

    key: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """A choice of what is shown."""

    value: str
    text: str


WORDS: Final = (Word("", "Everything"), Word("sessions", "Sessions"), Word("refusals", "Refusals"))


async def show(visit: Visit) -> Response:
    """`GET /log/smtp`."""
    return visit.show("smtp_log.html", "smtp-log", await _read(visit))


async def _read(visit: Visit) -> Mapping[str, object]:
    q = visit.query("q").strip()[:MAX_SEARCH]
    number = parse_id(visit.query("before"), SMTP_REFUSAL_PREFIX)
    found = await visit.needs.store.page_smtp_refusals(
        whose(visit), text=q or None, limit=PAGE, before=SmtpRefusalId(number) if number is not None else None
    )
    older = ""
    if found.has_more:
        older = "/log/smtp?" + urlencode(
            {"q": q, "show": visit.query("show"), "before": format_id(SMTP_REFUSAL_PREFIX, found.items[-1].id)}
        )
    book, whose_keys = visit.needs.smtp_sessions, whose(visit)
    names = {format_id(API_KEY_PREFIX, key.id): key.name for key in await visit.needs.store.list_api_keys(visit.account_id)}
    chosen = visit.query("show")
    return {
        "show": chosen if chosen in {word.value for word in WORDS} else "",
        "words": WORDS,
        "is_listening": book.is_listening,
        "sessions": tuple(_session(each, names) for each in book.list_sessions(whose_keys, text=q, limit=PAGE)),
        "sums": tuple(_sums(format_id(API_KEY_PREFIX, key), each, names) for key, each in book.sums(whose_keys)[:PAGE]),
        "rows": tuple(_row(each) for each in found.items),
        "q_smtp": q,
        "older": older,
        "has_filter": bool(q or number is not None),
        "smtp": visit.needs.smtp,
        "lines": try_door(visit.place("", "user@example.org")),
    }


def _session(session: SmtpSession, names: Mapping[str, str]) -> SessionRow:
    key = format_id(API_KEY_PREFIX, session.api_key_id) if session.api_key_id is not None else ""
    to = f" to {count(session.recipients, 'recipient', 'recipients')}" if session.mails else ""
    return SessionRow(
        at=moment_of(session.began_at),
        is_open=session.ended_at is None,
        lasted=span(session.ended_at - session.began_at) if session.ended_at else "",
        address=session.address,
        helo=session.helo,
        tls=session.tls or "not encrypted",
        key=key,
        name=names.get(key, key),
        mails=count(session.mails, "mail", "mails") + to,
        refusals=count(session.refusals, "refusal", "refusals") if session.refusals else "",
        last_refusal=session.last_refusal,
    )


def _sums(key: str, sums: SmtpSums, names: Mapping[str, str]) -> SumsRow:
    parts = (
        count(sums.sessions, "session", "sessions"),
        f"{count(sums.mails, 'mail', 'mails')} to {count(sums.recipients, 'recipient', 'recipients')}",
        count(sums.refusals, "refusal", "refusals"),
    )
    return SumsRow(key, names.get(key, key), ", ".join(parts))


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


PAGES: Final = (Page(path="/log/smtp", get=show, live=Source(page="smtp-log", read=_read, parts=PARTS)),)
