"""SMTP log: who came to the door, what they did, what was refused with which reply, and who is shut out."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.accounts.address_blocks import AddressBlocks
from sendryd.accounts.errors import BadField
from sendryd.accounts.smtp_sessions import SmtpSession, SmtpSums
from sendryd.dashboard.app import Page
from sendryd.dashboard.lengths import LENGTHS
from sendryd.dashboard.live import Source
from sendryd.dashboard.refused import domain_of, whose
from sendryd.dashboard.snippets import try_door
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.blockedaddress import BlockedAddress
from sendryd.model.ids import API_KEY_PREFIX, SMTP_REFUSAL_PREFIX, SmtpRefusalId, format_id, parse_id
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.policy.explain.words import count, span
from sendryd.policy.refusal import RefusalKey
from sendryd.policy.rights import Right
from sendryd.store.errors import LimitReached, NotFound

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


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedRow:
    """An address that is shut out."""

    network: str
    by: str
    reason: str
    since: Moment
    until: Moment | None


@dataclass(frozen=True, slots=True)
class Word:
    """A choice of what is shown."""

    value: str
    text: str


WORDS: Final = (Word("", "Everything"), Word("sessions", "Sessions"), Word("refusals", "Refusals"))


async def show(visit: Visit) -> Response:
    """`GET /log/smtp`."""
    return await _show(visit, blocking=visit.query("block")[:MAX_SEARCH])


async def block(visit: Visit) -> Response:
    """`POST /log/smtp/block`: refuses connections from an address."""
    address, fields = visit.fields.get("address", ""), visit.fields
    if fields.get("for", "") not in LENGTHS:
        return visit.show("missing.html", "missing", {}, status=404)
    try:
        await _blocks(visit).block(visit.author, address, reason=fields.get("reason", ""), length=LENGTHS[fields.get("for", "")])
    except BadField as error:
        return await _show(visit, blocking=address, wrong=str(error), status=422)
    except LimitReached as error:
        return await _show(visit, blocking=address, wrong=f"It is not blocked: {error}.", status=409)
    return visit.go("/log/smtp#blocked")


async def unblock(visit: Visit) -> Response:
    """`POST /log/smtp/unblock`: lets an address in again."""
    with suppress(NotFound):  # its time has ended, or somebody else was faster
        await _blocks(visit).unblock(visit.author, visit.fields.get("network", ""))
    return visit.go("/log/smtp")


async def _show(visit: Visit, *, blocking: str, wrong: str = "", status: int = 200) -> Response:
    values = {**await _read(visit), "blocking": blocking, "wrong": wrong, "reason": visit.fields.get("reason", ""), "blocked": ()}
    if visit.me.may(Right.OPERATE):
        values["blocked"] = tuple(_blocked(each) for each in await _blocks(visit).list())
    return visit.show("smtp_log.html", "smtp-log", values, status=status)


def _blocks(visit: Visit) -> AddressBlocks:
    return AddressBlocks(visit.needs.store, clock=visit.needs.clock, ids=visit.needs.ids)


def _blocked(each: BlockedAddress) -> BlockedRow:
    until = moment_of(each.until) if each.until else None
    return BlockedRow(network=each.network, by=each.by, reason=each.reason, since=moment_of(each.since), until=until)


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


PAGES: Final = (
    Page(path="/log/smtp", get=show, live=Source(page="smtp-log", read=_read, parts=PARTS)),
    Page(path="/log/smtp/block", post=block, needs_to_change=Right.OPERATE),
    Page(path="/log/smtp/unblock", post=unblock, needs_to_change=Right.OPERATE),
)
