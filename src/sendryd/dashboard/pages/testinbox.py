"""The Test Inbox: what apps sent with test keys. The chosen key, the open mail and the place in the list are in the address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.live import Source
from sendryd.dashboard.mailframe import Link
from sendryd.dashboard.mailview import EmailView, part_of, read_email
from sendryd.dashboard.pages.email import MAIL_PARTS
from sendryd.dashboard.snippets import Place, Snippet, snippets
from sendryd.dashboard.statuses import StatusView, status_of
from sendryd.dashboard.timeline import Moment, moment_of, size_text
from sendryd.dashboard.visit import Visit
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import API_KEY_PREFIX, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX, ApiKeyId, MessageId, format_id, parse_id
from sendryd.model.message import Message, MessageStatus, MessageSummary
from sendryd.policy.explain import Action
from sendryd.store.base import MessageFilter

INTERVAL: Final = 0.5  # seconds between two looks: whoever has just sent a mail waits for it
SHOWN: Final = 50  # rows of a page
KILO: Final = 1024  # octets
FIRST_PART: Final = "preview"
PARTS: Final = ("Preview", "Text", "Source", "Headers", "Attachments", "Timeline", "Webhooks")  # in the order that a developer wants them
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
    size: str
    attachments: int | None  # None: not counted yet
    key: Link | None
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


@dataclass(frozen=True, slots=True)
class Around:
    """Where the open mail leads."""

    id: str = ""
    close: str = ""
    newer: str = ""
    older: str = ""
    whole: str = ""


async def show(visit: Visit) -> Response:
    """`GET /test`."""
    values = await _read(visit, has_content=True)
    if values is None:
        return visit.show("missing.html", "missing", {}, status=404)
    domains = await visit.needs.store.list_domains(visit.account_id)
    sender = next((each.name for each in domains if each.status is DomainStatus.VERIFIED), "example.com")
    return visit.show("test.html", "test", {**values, "snippets": _snippets(visit, sender)})


async def _read_live(visit: Visit) -> Mapping[str, object]:
    empty = InboxView(rows=(), older="", newest="/test", is_first=False)
    return await _read(visit, has_content=False) or {"view": empty, "mail": None, "key": "", "back": ""}


async def _read(visit: Visit, *, has_content: bool) -> dict[str, object] | None:
    """The values for the templates; None if the address names a test key that the account does not have."""
    keys = [key for key in await visit.needs.store.list_api_keys(visit.account_id) if key.mode is KeyMode.TEST]
    chosen = visit.query("key")
    key = next((each for each in keys if format_id(API_KEY_PREFIX, each.id) == chosen), None)
    if chosen and key is None:
        return None
    opened = await _opened(visit)
    view = await _list(visit, keys, key, opened)
    around, mail = Around(), None
    if opened is not None:
        around = _around(visit, view, opened)
        mail = await _read_mail(visit, opened, has_content=has_content)
    return {
        "view": view,
        "mail": mail,
        "around": around,
        "fault": GONE if visit.query("open") and mail is None else "",
        "keys": tuple(Link(each.name, format_id(API_KEY_PREFIX, each.id), is_here=each is key) for each in keys),
        "key": key.name if key else "",
        "notice": "",
        "back": "",
    }


async def _opened(visit: Visit) -> Message | None:
    """The test mail that the address opens."""
    number = _message_id(visit.query("open"))
    found = None if number is None else await visit.needs.store.get_message(visit.account_id, number)
    return found.message if found and found.message.mode is KeyMode.TEST else None


async def _list(visit: Visit, keys: Sequence[ApiKey], key: ApiKey | None, opened: Message | None) -> InboxView:
    needs = visit.needs
    which = MessageFilter(mode=KeyMode.TEST, api_key_id=key.id if key else None, has_gone=True)
    found = await needs.store.list_messages(visit.account_id, which, limit=SHOWN, before=_message_id(visit.query("before")))
    counts = await needs.attachments.of([each.message for each in found.items])
    names = {each.id: each.name for each in keys}
    at = opened.id if opened else _message_id(visit.query("at"))
    last = format_id(TEST_MESSAGE_PREFIX, found.items[-1].message.id) if found.has_more else ""
    return InboxView(
        rows=tuple(_row(visit, each, names, counts.get(each.message.id), is_open=each.message.id == at) for each in found.items),
        older=_address(visit, before=last) if last else "",
        newest=_address(visit, before="") if visit.query("before") else "",
        is_first=not visit.query("before"),
    )


def _row(visit: Visit, each: MessageSummary, names: Mapping[ApiKeyId, str], attachments: int | None, *, is_open: bool) -> Row:
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
        size=size_text(message.size) if message.size >= KILO else f"{message.size / KILO:.1f} KB",  # octets need a wider column
        attachments=attachments,
        key=Link(names[key_id], _of_key(key_id)) if key_id is not None and key_id in names else None,
        received=moment_of(message.waits_since),
        href=_address(visit, open=own),
        is_open=is_open,
    )


async def _read_mail(visit: Visit, message: Message, *, has_content: bool) -> EmailView | None:
    """The open mail, in the words of the Test Inbox."""
    base = f"{_address(visit, open=format_id(TEST_MESSAGE_PREFIX, message.id))}&"
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


def _around(visit: Visit, view: InboxView, message: Message) -> Around:
    own = format_id(TEST_MESSAGE_PREFIX, message.id)
    ids = [row.id for row in view.rows]
    at = ids.index(own) if own in ids else None
    return Around(
        id=own,
        close=_address(visit, at=own),
        newer=view.rows[at - 1].href if at else "",
        older=view.rows[at + 1].href if at is not None and at + 1 < len(ids) else "",
        whole=f"/emails/{format_id(MESSAGE_PREFIX, message.id)}",
    )


def _address(visit: Visit, **more: str) -> str:
    pairs = {"key": visit.query("key"), "before": visit.query("before"), **more}
    text = urlencode({name: value for name, value in pairs.items() if value})
    return f"/test?{text}" if text else "/test"


def _of_key(key_id: ApiKeyId) -> str:
    return f"/test?{urlencode({'key': format_id(API_KEY_PREFIX, key_id)})}"


def _message_id(text: str) -> MessageId | None:
    """Of an id as `te_…` or `em_…`, as REST takes it."""
    for prefix in (TEST_MESSAGE_PREFIX, MESSAGE_PREFIX):
        if (number := parse_id(text, prefix)) is not None:
            return MessageId(number)
    return None


def _snippets(visit: Visit, sender: str) -> tuple[Snippet, ...]:
    needs = visit.needs
    return snippets(
        Place(http=needs.http, smtp=needs.smtp, cert=str(needs.cert_path), sender=f"hello@{sender}", recipient="user@example.org")
    )


LIVE: Final = Source(page="test", read=_read_live, parts={"list": "test_list.html", **MAIL_PARTS}, interval=INTERVAL)
PAGES: Final = (Page(path="/test", get=show, live=LIVE),)
