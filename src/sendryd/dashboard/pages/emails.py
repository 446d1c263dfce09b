"""Emails: find a mail. The search, the open mail and the place in the list are in the address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.finding import path_of
from sendryd.dashboard.live import Source
from sendryd.dashboard.mailframe import Link
from sendryd.dashboard.mailview import EmailView, part_of, read_email
from sendryd.dashboard.pages.email import MAIL_PARTS, notice
from sendryd.dashboard.query import Query, Search, format_query, make_search, named_id, parse_query
from sendryd.dashboard.refused import Refused, find_refused
from sendryd.dashboard.savedsearch import read_saved
from sendryd.dashboard.snippets import Snippet, snippets
from sendryd.dashboard.statuses import StatusView, status_of
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import API_KEY_PREFIX, MESSAGE_PREFIX, ApiKeyId, MessageId, format_id, parse_id
from sendryd.model.message import MessageSummary
from sendryd.store.base import IndexState, Store
from sendryd.store.codec.values import first_id, time_of

SHOWN: Final = 50  # rows of a page
BATCH: Final = 250  # messages read at once where the store does not know all conditions
LOOKED_AT: Final = 1000  # the most messages that one page reads
MAX_LOOSENED: Final = 5  # conditions: each is a search more
CLOSED: Final = "-"  # `open=-`: a lone hit stays closed
VIEWS: Final = (
    ("All", ""),
    ("Waiting", "status:waiting"),
    ("Deferred", "status:deferred"),
    ("Scheduled", "status:scheduled"),
    ("Held", "status:held"),
    ("Delivered", "status:delivered"),
    ("Bounced", "status:bounced"),
    ("Failed", "status:failed"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A mail in the list."""

    id: str
    status: StatusView
    to: str
    more: int  # further recipients
    subject: str
    tags: tuple[Link, ...]
    key: Link | None
    accepted: Moment
    href: str
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What was found, the newest first, and where to go on."""

    found: tuple[MessageSummary, ...]
    next: MessageId | None = None  # older messages come before it
    looked_back_to: datetime | None = None  # the search stopped there, before the page was full
    index: IndexState = field(default_factory=IndexState)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailsView:
    """The list."""

    rows: tuple[Row, ...]
    refused: tuple[Refused, ...]
    views: tuple[Link, ...]
    faults: tuple[str, ...]
    older: str
    newest: str
    looked_back_to: Moment | None
    index: IndexState
    is_empty: bool  # no mail at all, as opposed to none that matches
    domain: str  # a verified one; empty if there is none
    snippets: tuple[Snippet, ...]


async def show(visit: Visit) -> Response:
    """`GET /emails`."""
    text = visit.query("q").strip()
    query = parse_query(text)
    faults: tuple[str, ...] = ()
    if (named := named_id(query)) is not None and not visit.query("open"):
        path = await path_of(visit, *named)
        if path:
            return visit.go(path)
        faults = (f"This account has nothing with the id {text}: it was deleted, or it is another account's.",)
    values = await _read(visit, faults, has_content=True)
    mail = values["mail"]
    if isinstance(mail, EmailView) and not visit.query("open"):
        visit = replace(visit, live=f"{visit.live}&{urlencode({'open': mail.id})}")  # it stays open when a second one matches
    view = values["view"]
    is_empty = isinstance(view, EmailsView) and not view.rows and not visit.query("before")
    more = {
        "saved": await read_saved(visit, text, known=[q for _name, q in VIEWS]),
        "loosened": await _loosen(visit, query) if is_empty else (),
    }
    return visit.show("emails.html", "emails", {**values, **more})


async def _loosen(visit: Visit, query: Query) -> tuple[Link, ...]:
    """Searches that find something, each without one of the conditions that together find nothing."""
    terms = query.terms
    if not 1 < len(terms) <= MAX_LOOSENED:
        return ()
    keys = _names_of(await visit.needs.store.list_api_keys(visit.account_id))
    links: list[Link] = []
    for place, term in enumerate(terms):
        wider = Query(terms[:place] + terms[place + 1 :])
        search = make_search(wider, mode=KeyMode.LIVE, keys=keys, now=visit.needs.clock.now())
        if (await find_messages(visit.needs.store, visit, search)).found:
            links.append(Link(format_query(Query((term,))), _address(format_query(wider), "")))
    return tuple(links)


async def _read_live(visit: Visit) -> Mapping[str, object]:
    return await _read(visit, (), has_content=False)


async def _read(visit: Visit, faults: tuple[str, ...], *, has_content: bool) -> dict[str, object]:
    text = visit.query("q").strip()
    query = parse_query(text)
    keys = await visit.needs.store.list_api_keys(visit.account_id)
    search = make_search(query, mode=KeyMode.LIVE, keys=_names_of(keys), now=visit.needs.clock.now())
    listing = await find_messages(visit.needs.store, visit, search)
    opened = _opened(visit, query, listing)
    view = await _view(visit, text, listing, faults + search.faults, keys, opened)
    mail = None
    if opened is not None:
        base = f"{_address(text, visit.query('before'), open=format_id(MESSAGE_PREFIX, opened))}&"
        mail = await read_email(visit, opened, part=part_of(visit.query("part")), base=base, has_content=has_content)
    return {"view": view, "mail": mail, "q": text, **await _around(visit, view, text, opened)}


async def find_messages(store: Store, visit: Visit, search: Search) -> Listing:
    """A page of the messages that match. Reads at most `LOOKED_AT`, and says how far it looked."""
    before = _before(visit, search)
    found: list[MessageSummary] = []
    looked_at, batch = 0, BATCH if search.checks else SHOWN + 1
    while True:
        page = await store.search_messages(visit.account_id, search.filter, limit=batch, before=before)
        found += [each for each in page.items if search.matches(each)]
        looked_at += len(page.items)
        before = page.last or (page.items[-1].message.id if page.items else before)
        if len(found) > SHOWN:
            return Listing(found=tuple(found[:SHOWN]), next=found[SHOWN - 1].message.id, index=page.index)
        if not page.has_more:
            return Listing(found=tuple(found), index=page.index)
        if (page.last is not None or looked_at >= LOOKED_AT) and before is not None:
            return Listing(found=tuple(found), next=before, looked_back_to=time_of(before), index=page.index)


def _before(visit: Visit, search: Search) -> MessageId | None:
    number = parse_id(visit.query("before"), MESSAGE_PREFIX)
    limits = [] if number is None else [number]
    if search.before is not None:
        limits.append(first_id(search.before))
    return MessageId(min(limits)) if limits else None


def _names_of(keys: Sequence[ApiKey]) -> dict[str, ApiKeyId]:
    return {name: key.id for key in reversed(keys) for name in (key.name.lower(), format_id(API_KEY_PREFIX, key.id))}


def _opened(visit: Visit, query: Query, listing: Listing) -> MessageId | None:
    """The mail of the slide-over: the one that the address names, or the only one that a search has found."""
    wanted = visit.query("open")
    number = parse_id(wanted, MESSAGE_PREFIX)
    if number is not None:
        return MessageId(number)
    is_lone = len(listing.found) == 1 and listing.next is None and not visit.query("before")
    return listing.found[0].message.id if query.terms and is_lone and not wanted else None


async def _view(
    visit: Visit, text: str, listing: Listing, faults: tuple[str, ...], keys: Sequence[ApiKey], opened: MessageId | None
) -> EmailsView:
    now, before = visit.needs.clock.now(), visit.query("before")
    at = parse_id(visit.query("at"), MESSAGE_PREFIX) if opened is None else opened
    names = {key.id: key.name for key in keys}
    is_empty = not (listing.found or text or before)
    domain = await _sender(visit) if not text and not before else ""
    return EmailsView(
        rows=tuple(_row(each, text, before, names, now, is_open=each.message.id == at) for each in listing.found),
        refused=await find_refused(visit, parse_query(text), is_accepted=bool(listing.found)),
        views=tuple(Link(name, _address(q, ""), is_here=q == text) for name, q in VIEWS),
        faults=faults,
        older=_address(text, format_id(MESSAGE_PREFIX, listing.next)) if listing.next is not None else "",
        newest=_address(text, "") if before else "",
        looked_back_to=moment_of(listing.looked_back_to) if listing.looked_back_to else None,
        index=listing.index,
        is_empty=is_empty,
        domain=domain,
        snippets=snippets(visit.place(domain, visit.me.signed_in.person.email)) if domain else (),
    )


def _row(each: MessageSummary, text: str, before: str, names: dict[ApiKeyId, str], now: datetime, *, is_open: bool) -> Row:
    message = each.message
    number = sum(each.states.values())
    to = message.to[0] if message.to else message.cc[0] if message.cc else "undisclosed recipients"
    key_id = message.api_key_id
    key_text = format_id(API_KEY_PREFIX, key_id) if key_id is not None else ""
    return Row(
        id=format_id(MESSAGE_PREFIX, message.id),
        status=status_of(each, now),
        to=to,
        more=max(0, number - 1),
        subject=message.subject or "(no subject)",
        tags=tuple(
            Link(f"{name}={value}" if value else name, _address(f'tag:"{name}={value}"' if value else f'tag:"{name}"', ""))
            for name, value in message.tags[:3]
        ),
        key=Link(names.get(key_id, key_text), _address(f"key:{key_text}", "")) if key_id is not None else None,
        accepted=moment_of(message.created_at),
        href=_address(text, before, open=format_id(MESSAGE_PREFIX, message.id)),
        is_open=is_open,
    )


async def _around(visit: Visit, view: EmailsView, text: str, opened: MessageId | None) -> dict[str, object]:
    """Where the slide-over leads: closed, newer, older, back after a change."""
    before = visit.query("before")
    if opened is None:
        return {"close": "", "newer": "", "older": "", "back": "", "whole": "", "notice": ""}
    own = format_id(MESSAGE_PREFIX, opened)
    ids = [row.id for row in view.rows]
    at = ids.index(own) if own in ids else None
    newer = view.rows[at - 1].href if at else ""
    older = view.rows[at + 1].href if at is not None and at + 1 < len(ids) else ""
    return {
        "close": _address(text, before, open=CLOSED, at=own),
        "newer": newer,
        "older": older,
        "back": _address(text, before, open=own),
        "whole": f"/emails/{own}",
        "notice": await notice(visit, opened),
    }


def _address(text: str, before: str, **more: str) -> str:
    pairs = {name: value for name, value in {"q": text, "before": before, **more}.items() if value}
    return f"/emails?{urlencode(pairs)}" if pairs else "/emails"


async def _sender(visit: Visit) -> str:
    """The name of a verified domain."""
    domains = await visit.needs.store.list_domains(visit.account_id)
    return next((each.name for each in domains if each.status is DomainStatus.VERIFIED), "")


PAGES: Final = (
    Page(path="/emails", get=show, live=Source(page="emails", read=_read_live, parts={"list": "emails_list.html", **MAIL_PARTS})),
)
