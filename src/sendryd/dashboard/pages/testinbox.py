"""The Test Inbox: what apps sent with test keys. The chosen key, the open mail and the place in the list are in the address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.glances import Glance
from sendryd.dashboard.inbox import View, choose, find
from sendryd.dashboard.live import Source
from sendryd.dashboard.mailframe import Link
from sendryd.dashboard.mailview import EmailView, part_of, read_email
from sendryd.dashboard.pages.email import MAIL_PARTS
from sendryd.dashboard.release import Releases
from sendryd.dashboard.snippets import snippets
from sendryd.dashboard.statuses import StatusView, status_of
from sendryd.dashboard.timeline import Moment, moment_of, size_text
from sendryd.dashboard.visit import Visit
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import API_KEY_PREFIX, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX, ApiKeyId, MessageId, format_id, parse_id
from sendryd.model.message import Message, MessageStatus, MessageSummary
from sendryd.policy.explain import Action

INTERVAL: Final = 0.5  # seconds between two looks: whoever has just sent a mail waits for it
MAX_WORDS: Final = 10  # of a search
MAX_SEARCH: Final = 200  # characters of it
KILO: Final = 1024  # octets
FIRST_PART: Final = "preview"
PARTS: Final = ("Preview", "Text", "Source", "Headers", "Attachments", "Timeline", "Webhooks")  # in the order that a developer wants them
MAX_DIGITS: Final = 6  # of a number of mails in the address
PLAYS: Final = (("bounce", "Bounce"), ("complaint", "Complaint"), ("open", "Open"), ("click", "Click"))
# What a change did: to none, to one, to many.
DID: Final = {
    "clear": ("Nothing was deleted.", "1 mail is deleted.", "{:,} mails are deleted."),
    "bounce": ("No recipient is left to play it on.", "A bounce was played on 1 recipient.", "A bounce was played on {:,} recipients."),
    "complaint": (
        "No recipient is left to play it on.",
        "A complaint was played on 1 recipient.",
        "A complaint was played on {:,} recipients.",
    ),
    "open": ("No recipient is left to play it on.", "An open was played on 1 recipient.", "An open was played on {:,} recipients."),
    "click": ("No recipient is left to play it on.", "A click was played on 1 recipient.", "A click was played on {:,} recipients."),
}
GONE: Final = "This account has no test mail with this id: it was deleted, or it is another account's."


@dataclass(frozen=True, slots=True)
class Row:
    """A mail in the list."""

    id: str
    status: StatusView
    author: str
    to: str
    more: int  # further recipients
    subject: str
    line: str  # the beginning of its text
    size: str
    attachments: int | None  # None: not counted yet
    key: Link | None
    key_id: str
    received: Moment
    href: str
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxView:
    """The list."""

    rows: tuple[Row, ...]
    older: str
    newest: str
    is_first: bool  # the first page: an empty one waits for the first mail
    words: str = ""  # of the search
    looked_back_to: Moment | None = None
    clear: str = ""  # the address that asks to clear the view; empty: there is nothing to clear, or this is not the first page


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearingView:
    """The question before a view is cleared."""

    number: str  # of mails that it deletes
    kept: int
    is_cut: bool
    newest: str  # id of the newest mail that it deletes
    back: str


@dataclass(frozen=True, slots=True)
class Around:
    """Where the open mail leads."""

    id: str = ""
    close: str = ""
    newer: str = ""
    older: str = ""
    whole: str = ""
    copies: tuple[Link, ...] = ()  # that were released
    here: str = ""  # the query of this page, for the addresses of changes


async def show(visit: Visit) -> Response:
    """`GET /test`."""
    return await show_inbox(visit, message_id_of(visit.query("open")))


async def show_inbox(visit: Visit, opened: MessageId | None, *, wrong: str = "") -> Response:
    """The page. `wrong` is what is wrong with the address that the open mail was to be released to."""
    values = await _read(visit, opened, has_content=True)
    if values is None:
        return visit.show("missing.html", "missing", {}, status=404)
    domains = await visit.needs.store.list_domains(visit.account_id)
    sender = next((each.name for each in domains if each.status is DomainStatus.VERIFIED), "")
    more = {
        "snippets": snippets(visit.place(sender, "user@example.org")),
        "clearing": await _ask_to_clear(visit),
        "notice": notice_of(visit),
        "wrong": wrong,
        "to": visit.fields.get("to", visit.me.signed_in.person.email),
        "plays": PLAYS,
    }
    return visit.show("test.html", "test", {**values, **more}, status=422 if wrong else 200)


async def _read_live(visit: Visit) -> Mapping[str, object]:
    empty = InboxView(rows=(), older="", newest="/test", is_first=False)
    found = await _read(visit, message_id_of(visit.query("open")), has_content=False)
    return found or {"view": empty, "mail": None, "key": "", "back": ""}


async def _read(visit: Visit, opened_id: MessageId | None, *, has_content: bool) -> dict[str, object] | None:
    """The values for the templates; None if the address names a test key that the account does not have."""
    keys = await test_keys(visit)
    key = chosen_key(visit, keys)
    if visit.query("key") and key is None:
        return None
    opened = await captured(visit, opened_id)
    view = await _list(visit, keys, key, opened)
    around, mail = Around(here=address(visit).partition("?")[2]), None
    if opened is not None:
        around = await _around(visit, view, opened, has_content=has_content)
        mail = await _read_mail(visit, opened, has_content=has_content)
    return {
        "view": view,
        "mail": mail,
        "around": around,
        "fault": GONE if visit.query("open") and mail is None else "",
        "keys": tuple(Link(each.name, format_id(API_KEY_PREFIX, each.id), is_here=each is key) for each in keys),
        "key": key.name if key else "",
        "key_id": visit.query("key"),
        "back": "",
    }


async def test_keys(visit: Visit) -> list[ApiKey]:
    """The account's test keys."""
    return [key for key in await visit.needs.store.list_api_keys(visit.account_id) if key.mode is KeyMode.TEST]


def chosen_key(visit: Visit, keys: Sequence[ApiKey]) -> ApiKey | None:
    """The key that the address names."""
    return next((each for each in keys if format_id(API_KEY_PREFIX, each.id) == visit.query("key")), None)


def view_of(visit: Visit, key: ApiKey | None) -> View:
    """What the address lists."""
    words = visit.query("q")[:MAX_SEARCH].lower().split()
    return View(key.id if key else None, tuple(words[:MAX_WORDS]))


async def _ask_to_clear(visit: Visit) -> ClearingView | None:
    """The question before the view is cleared, if the address asks it."""
    newest = message_id_of(visit.query("clear"))
    if newest is None:
        return None
    clearing = await choose(visit, view_of(visit, chosen_key(visit, await test_keys(visit))), newest)
    return ClearingView(
        number=f"{len(clearing.message_ids):,}",
        kept=clearing.kept,
        is_cut=clearing.is_cut,
        newest=visit.query("clear"),
        back=address(visit),
    )


async def captured(visit: Visit, number: MessageId | None) -> Message | None:
    """A test mail of the account."""
    found = None if number is None else await visit.needs.store.get_message(visit.account_id, number)
    return found.message if found and found.message.mode is KeyMode.TEST else None


async def _list(visit: Visit, keys: Sequence[ApiKey], key: ApiKey | None, opened: Message | None) -> InboxView:
    found = await find(visit, view_of(visit, key), message_id_of(visit.query("before")))
    names = {each.id: each.name for each in keys}
    at = opened.id if opened else message_id_of(visit.query("at"))
    is_first = not visit.query("before")
    return InboxView(
        rows=tuple(_row(visit, each, names, found.glances.get(each.message.id), is_open=each.message.id == at) for each in found.items),
        older=address(visit, before=format_id(TEST_MESSAGE_PREFIX, found.next)) if found.next else "",
        newest="" if is_first else address(visit, before=""),
        is_first=is_first,
        words=visit.query("q"),
        looked_back_to=moment_of(found.looked_back_to) if found.looked_back_to else None,
        clear=address(visit, clear=format_id(TEST_MESSAGE_PREFIX, found.items[0].message.id)) if found.items and is_first else "",
    )


def _row(visit: Visit, each: MessageSummary, names: Mapping[ApiKeyId, str], glance: Glance | None, *, is_open: bool) -> Row:
    message = each.message
    own, key_id = format_id(TEST_MESSAGE_PREFIX, message.id), message.api_key_id
    to = message.to[0] if message.to else message.cc[0] if message.cc else "undisclosed recipients"
    return Row(
        id=own,
        status=_caught(status_of(each, visit.needs.clock.now())),
        author=message.author,
        to=to,
        more=max(0, sum(each.states.values()) - 1),
        subject=message.subject or "(no subject)",
        line=glance.line if glance else "",
        size=size_text(message.size) if message.size >= KILO else f"{message.size / KILO:.1f} KB",  # octets need a wider column
        attachments=glance.attachments if glance else None,
        key=Link(names[key_id], _of_key(key_id)) if key_id is not None and key_id in names else None,
        key_id=format_id(API_KEY_PREFIX, key_id) if key_id is not None else "",
        received=moment_of(message.waits_since),
        href=address(visit, open=own),
        is_open=is_open,
    )


async def _read_mail(visit: Visit, message: Message, *, has_content: bool) -> EmailView | None:
    """The open mail, in the words of the Test Inbox."""
    base = f"{address(visit, open=format_id(TEST_MESSAGE_PREFIX, message.id))}&"
    mail = await read_email(visit, message.id, part=part_of(visit.query("part") or FIRST_PART), base=base, has_content=has_content)
    if mail is None:
        return None
    own_key = _of_key(message.api_key_id) if message.api_key_id is not None else ""
    return replace(
        mail,
        status=_caught(mail.status),
        recipients=tuple(replace(each, status=_caught(each.status)) for each in mail.recipients),
        links=tuple(link for link in mail.links if link.text != Action.OPEN_TEST.value),
        facts=tuple(replace(fact, href=own_key) if fact.name == "Key" else fact for fact in mail.facts),
        tabs=tuple(sorted(mail.tabs, key=lambda tab: PARTS.index(tab.text))),
    )


def _caught(status: StatusView) -> StatusView:
    """No server took it, so it is not called delivered."""
    return replace(status, word="Caught") if status.api == MessageStatus.DELIVERED.value else status


async def _around(visit: Visit, view: InboxView, message: Message, *, has_content: bool) -> Around:
    own = format_id(TEST_MESSAGE_PREFIX, message.id)
    ids = [row.id for row in view.rows]
    at = ids.index(own) if own in ids else None
    return Around(
        id=own,
        close=address(visit, at=own),
        newer=view.rows[at - 1].href if at else "",
        older=view.rows[at + 1].href if at is not None and at + 1 < len(ids) else "",
        whole=f"/emails/{format_id(MESSAGE_PREFIX, message.id)}",
        here=address(visit).partition("?")[2],
        copies=tuple(Link(to, f"/emails/{copy}") for copy, to in await releases_of(visit).copies(message)) if has_content else (),
    )


def address(visit: Visit, **more: str) -> str:
    """The address of the view with these changes."""
    pairs = {"key": visit.query("key"), "q": visit.query("q"), "before": visit.query("before"), **more}
    text = urlencode({name: value for name, value in pairs.items() if value})
    return f"/test?{text}" if text else "/test"


def _of_key(key_id: ApiKeyId) -> str:
    return f"/test?{urlencode({'key': format_id(API_KEY_PREFIX, key_id)})}"


def message_id_of(text: str) -> MessageId | None:
    """Of an id as `te_…` or `em_…`, as REST takes it."""
    for prefix in (TEST_MESSAGE_PREFIX, MESSAGE_PREFIX):
        if (number := parse_id(text, prefix)) is not None:
            return MessageId(number)
    return None


def notice_of(visit: Visit) -> str:
    """What the last change did, as the address says it."""
    did, text = visit.query("did"), visit.query("n")
    if did not in DID or not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        return ""
    none, one, many = DID[did]
    return none if not int(text) else one if int(text) == 1 else many.format(int(text))


def releases_of(visit: Visit) -> Releases:
    """What releases captured mail."""
    return Releases(visit.needs.store, visit.needs.intake, visit.needs.audit)


LIVE: Final = Source(page="test", read=_read_live, parts={"list": "test_list.html", **MAIL_PARTS}, interval=INTERVAL)
PAGES: Final = (Page(path="/test", get=show, live=LIVE),)
