"""Email: what became of one mail, its content, and what can be done about it."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import PlainTextResponse, Response

from sendryd.accounts.emails import EmailChange, Emails
from sendryd.dashboard.app import Page, Show
from sendryd.dashboard.live import Source
from sendryd.dashboard.mailparts import BUSY
from sendryd.dashboard.mailview import EmailView, part_of, read_email
from sendryd.dashboard.readers import may_read
from sendryd.dashboard.timeline import moment_of
from sendryd.dashboard.visit import Visit, headers
from sendryd.message.errors import MalformedMessage
from sendryd.message.parse import attachment_parts, decode_pieces, walk
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, DeliveryId, MessageId, format_id, parse_id
from sendryd.model.message import Message
from sendryd.model.moment import timestamp
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.explain.words import clock, count
from sendryd.policy.privacy import shown_content
from sendryd.policy.rights import Right
from sendryd.policy.tracking import SHARED_FOR, share_url
from sendryd.runtime import offload
from sendryd.runtime.budget import BudgetExhausted
from sendryd.store.base import QueueFilter
from sendryd.store.errors import NotFound

OCTETS: Final = "application/octet-stream"
MAX_INDEX: Final = 4  # digits: messages have at most a thousand parts
_DONE: Final = {
    EmailChange.TRY_NOW: ("is due now", "are due now"),
    EmailChange.CANCEL: ("is cancelled", "are cancelled"),
    EmailChange.HOLD: ("is held", "are held"),
    EmailChange.RELEASE: ("is released", "are released"),
}
_PAST: Final = {
    EmailChange.TRY_NOW.value: "tried it",
    EmailChange.CANCEL.value: "cancelled it",
    EmailChange.HOLD.value: "held it",
    EmailChange.RELEASE.value: "released it",
}


async def show(visit: Visit) -> Response:
    """`GET /emails/{id}`."""
    message_id, view = _message_id(visit), await _read(visit, has_content=True)
    if message_id is None or view is None:
        return _missing(visit)
    return visit.show("email.html", "email", {"mail": view, "notice": await notice(visit, message_id), "back": ""})


async def _read(visit: Visit, *, has_content: bool) -> EmailView | None:
    message_id = _message_id(visit)
    if message_id is None:
        return None
    base = f"/emails/{format_id(MESSAGE_PREFIX, message_id)}?"
    return await read_email(visit, message_id, part=part_of(visit.query("part")), base=base, has_content=has_content)


async def _read_live(visit: Visit) -> Mapping[str, object]:
    return {"mail": await _read(visit, has_content=False), "back": ""}


MAIL_PARTS: Final = {
    "mail-became": "email_became.html",
    "mail-timeline": "email_timeline.html",
    "mail-changes": "email_changes.html",
}


async def notice(visit: Visit, message_id: MessageId) -> str:
    """What the last change did, as the address says it."""
    did, number = visit.query("did"), visit.query("n")
    change = next((each for each in EmailChange if each.value == did), None)
    if change is None or not (number.isascii() and number.isdigit() and len(number) <= MAX_INDEX):
        return ""
    if int(number):
        one, many = _DONE[change]
        return f"{count(int(number), f'recipient {one}', f'recipients {many}')}."
    entry = await _emails(visit).last_change(visit.account_id, message_id)
    if entry is None or entry.action not in _PAST:
        return "Nothing was changed: the mail was sent, or was changed meanwhile."
    return f"Nothing was changed: {entry.actor} {_PAST[entry.action]} at {clock(entry.created_at, visit.needs.clock.now())}."


def _change(change: EmailChange) -> Show:
    async def work(visit: Visit) -> Response:
        message_id = _message_id(visit)
        if message_id is None:
            return _missing(visit)
        one = parse_id(visit.fields.get("delivery", ""), DELIVERY_PREFIX)
        delivery_id, reason = None if one is None else DeliveryId(one), visit.fields.get("reason", "")
        try:
            number = await _emails(visit).change(message_id, change, visit.author, delivery_id=delivery_id, reason=reason)
        except NotFound:
            return _missing(visit)
        back = visit.fields.get("back", "")
        target = back if back.startswith("/emails?") and back.isprintable() else f"/emails/{format_id(MESSAGE_PREFIX, message_id)}?"
        return visit.go(f"{target}&{urlencode({'did': change.value, 'n': number})}".replace("?&", "?"))

    return work


async def suppress(visit: Visit) -> Response:
    """`POST /emails/{id}/suppress`: nothing more is sent to this recipient of the mail."""
    message_id, number = _message_id(visit), parse_id(visit.fields.get("delivery", ""), DELIVERY_PREFIX)
    message = await _message(visit)
    if message is None or message_id is None or number is None:
        return _missing(visit)
    found = await visit.needs.store.list_queue(QueueFilter(message_id=message_id, delivery_id=DeliveryId(number)), limit=1)
    if not found:
        return _missing(visit)
    made = await visit.needs.lists.by(visit.author).suppress(visit.account_id, found[0].forward_path, SuppressionReason.MANUAL)
    return visit.go(f"/suppressions?{urlencode({'q': made.email})}")


async def share(visit: Visit) -> Response:
    """`POST /emails/{id}/share`: a link that shows the mail to whoever has it, for a while."""
    needs, message, view = visit.needs, await _message(visit), await _read(visit, has_content=True)
    if message is None or view is None:
        return _missing(visit)
    until = needs.clock.now() + SHARED_FOR
    url = share_url(needs.http, needs.secret, message.id, account_id=visit.account_id, expires_at=until)
    author = visit.author
    await needs.audit.add(author.account_id, author.actor, author.client, "email.shared", view.id, after={"until": timestamp(until)})
    return visit.show("email.html", "email", {"mail": view, "notice": "", "back": "", "shared": url, "shared_until": moment_of(until)})


async def download_source(visit: Visit) -> Response:
    """`GET /emails/{id}/source`: the stored octets as a file."""
    message = await _message(visit)
    if message is None or not await may_read(visit):
        return _missing(visit)
    name = f"{format_id(MESSAGE_PREFIX, message.id)}.eml"
    try:
        async with visit.needs.answers.room(message.size):
            content = shown_content(message, await visit.needs.store.read_content(message.id))
            return await _file(visit, [content], name)
    except BudgetExhausted:
        return PlainTextResponse(f"{BUSY}\n", 503, headers={**headers(), "Retry-After": "60"})


async def download_attachment(visit: Visit) -> Response:
    """`GET /emails/{id}/attachments/{number}`: a decoded file, whose type no browser is given."""
    message, text = await _message(visit), visit.request.path_params["number"]
    if message is None or not (text.isascii() and text.isdigit() and len(text) <= MAX_INDEX) or not await may_read(visit):
        return _missing(visit)
    try:
        async with visit.needs.answers.room(message.size):
            content = shown_content(message, await visit.needs.store.read_content(message.id))
            found = await offload.in_thread(_attachment, content, int(text))
            return _missing(visit) if found is None else await _file(visit, found[1], found[0])
    except BudgetExhausted:
        return PlainTextResponse(f"{BUSY}\n", 503, headers={**headers(), "Retry-After": "60"})


def _attachment(content: bytes, number: int) -> tuple[str, list[bytes]] | None:
    try:
        parts = attachment_parts(walk(content))
    except MalformedMessage:
        return None
    if number >= len(parts):
        return None
    return parts[number].filename or "attachment", decode_pieces(content, parts[number])


async def _file(visit: Visit, pieces: list[bytes], name: str) -> Response:
    """A download. The name is a stranger's: RFC 8187 encodes all of it."""
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    sent = {**headers(), "Content-Disposition": f"attachment; filename*=UTF-8''{encoded}"}
    return await visit.needs.answers.make(*pieces, owner=visit.account_id, media_type=OCTETS, headers=sent)


def _emails(visit: Visit) -> Emails:
    needs = visit.needs
    return Emails(needs.store, needs.audit, clock=needs.clock, ids=needs.ids)


def _message_id(visit: Visit) -> MessageId | None:
    number = parse_id(visit.request.path_params["id"], MESSAGE_PREFIX)
    return None if number is None else MessageId(number)


async def _message(visit: Visit) -> Message | None:
    message_id = _message_id(visit)
    found = None if message_id is None else await visit.needs.store.get_message(visit.account_id, message_id)
    return found.message if found else None


def _missing(visit: Visit) -> Response:
    return visit.show("missing.html", "missing", {}, status=404)


PAGES: Final = (
    Page(path="/emails/{id}", get=show, live=Source(page="email", read=_read_live, parts=MAIL_PARTS)),
    Page(path="/emails/{id}/source", get=download_source),
    Page(path="/emails/{id}/attachments/{number}", get=download_attachment),
    Page(path="/emails/{id}/share", post=share),
    Page(path="/emails/{id}/suppress", post=suppress),
    Page(path="/emails/{id}/try", post=_change(EmailChange.TRY_NOW)),
    Page(path="/emails/{id}/cancel", post=_change(EmailChange.CANCEL)),
    Page(path="/emails/{id}/hold", post=_change(EmailChange.HOLD), needs_to_change=Right.ADMINISTER),
    Page(path="/emails/{id}/release", post=_change(EmailChange.RELEASE), needs_to_change=Right.ADMINISTER),
)
