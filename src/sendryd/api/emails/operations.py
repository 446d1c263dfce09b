"""Messages as they are read: lists, one, its events and attachments."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from sendryd.api.emails.insights import Insights, check_json
from sendryd.api.emails.schema import Email, EmailEvent, EmailsQuery, EventsQuery, Share, email_json, event_json
from sendryd.api.emails.searching import make_filter
from sendryd.api.framework.answers import MaybeCountedPage, Page, maybe_counted_page, page
from sendryd.api.framework.group import Group, PathParameter, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import encode, invalid, not_found, parse_cursor, read_word, respond
from sendryd.api.framework.words import EVENT_WORDS, STATUS_WORDS
from sendryd.message.errors import MalformedMessage
from sendryd.message.fenced import examine_message
from sendryd.message.insights import Check, Mark, score
from sendryd.message.parse import attachment_parts, decode_pieces, summarise, walk
from sendryd.model.ids import EVENT_PREFIX, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX, EventId, MessageId, parse_id
from sendryd.model.message import Message, MessageSummary, MessageType
from sendryd.model.moment import timestamp
from sendryd.policy.permissions import may_find
from sendryd.policy.privacy import shown_content
from sendryd.policy.tracking import SHARED_FOR, share_url
from sendryd.runtime import offload
from sendryd.runtime.answers import Answers
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import Fence, Fences
from sendryd.store.base import EventFilter, Store

GROUP: Final = Group(
    "Emails",
    "Sending emails now or later, and following them.",
    {
        "emails": public_id("an email", MESSAGE_PREFIX, "Email"),
        "attachments": PathParameter("The index of the attachment; the first is 0.", "0", "Attachment"),
    },
)
SMALL: Final = 4096  # octets of a message that is examined in the event loop: some milliseconds, whatever is in it
_CHARSET: Final = re.compile(r"[A-Za-z0-9._:+-]{1,60}")  # a token: it goes into a field of the answer
_MAX_INDEX: Final = 6  # digits: messages have at most a thousand parts


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What links to pages for people are made with."""

    public_url: str
    secret: bytes


class EmailHandlers:
    """The operations that read emails."""

    def __init__(self, store: Store, links: LinkSettings, clock: Clock, answers: Answers, fences: Fences) -> None:
        self._store = store
        self._previews = fences.previews
        self._links = links
        self._clock = clock
        self._answers = answers

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(GROUP, "GET /v1/emails", self.list),
            Operation(GROUP, "GET /v1/emails/{id}", self.get, answers=Email),
            Operation(GROUP, "GET /v1/emails/{id}/events", self.list_events),
            Operation(
                GROUP,
                "GET /v1/emails/{id}/attachments/{index}",
                self.get_attachment,
                is_checked=True,
                media={"*/*": "The file, in the type that the message names."},
            ),
            Operation(GROUP, "GET /v1/emails/{id}/share", self.share),
            Operation(GROUP, "GET /v1/emails/{id}/insights", self.examine),
        ]

    async def list(self, call: Call[None, EmailsQuery]) -> MaybeCountedPage[Email]:
        """List emails, newest first.

        A live key lists live mail, a test key test mail.
        """
        query = call.query
        account_id = call.key.account_id
        status = read_word("status", query.status, STATUS_WORDS)
        which = await make_filter(self._store, account_id, call.key.mode, status, query.q)
        before = parse_cursor(query.cursor, MessageId, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX)
        found = await self._store.list_messages(account_id, which, limit=query.limit, before=before)
        total = await self._store.count_messages(account_id, which) if query.include_total else None
        return maybe_counted_page([email_json(summary) for summary in found.items], has_more=found.has_more, total=total)

    async def get(self, call: Call[None, None]) -> Response:
        """Get an email.

        The answer has its status and the names of its attachments.
        """
        return await show_email(self._store, call, self._answers)

    async def list_events(self, call: Call[None, EventsQuery]) -> Page[EmailEvent]:
        """List the events of an email, newest first.

        Each recipient has events of its own.
        """
        query = call.query
        summary = await find_email(self._store, call)
        which = EventFilter(mode=summary.message.mode, message_id=summary.message.id, type=read_word("type", query.type, EVENT_WORDS))
        before = parse_cursor(query.cursor, EventId, EVENT_PREFIX)
        found = await self._store.list_events(call.key.account_id, which, limit=query.limit, before=before)
        return page([event_json(event) for event in found.items], has_more=found.has_more)

    async def get_attachment(self, call: Call[None, None]) -> Response:
        """Download an attachment.

        The answer is the decoded file, served as a download.
        """
        summary = await find_email(self._store, call)
        text = call.params["index"]
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_INDEX):
            raise invalid("index", "index is the place of the attachment, from 0 on")
        async with self._answers.room(summary.message.size):
            content = shown_content(summary.message, await self._store.read_content(summary.message.id))
            found = await offload.in_thread(_attachment, content, int(text))
            if found is None:
                raise not_found("Attachment")
            name, content_type, pieces = found
            headers = {"Content-Disposition": f'attachment; filename="{quote(name, safe=" ")}"'}
            return await self._answers.make(*pieces, owner=summary.message.account_id, media_type=content_type, headers=headers)

    async def share(self, call: Call[None, None]) -> Share:
        """Create a link that shows an email to anyone for 48 hours.

        The link is signed and holds the id and the expiry time. The server stores nothing, and the link cannot be withdrawn.
        """
        summary = await find_email(self._store, call)
        message = summary.message
        expires_at = self._clock.now() + SHARED_FOR
        url = share_url(self._links.public_url, self._links.secret, message.id, account_id=message.account_id, expires_at=expires_at)
        return {"url": url, "expires_at": timestamp(expires_at)}

    async def examine(self, call: Call[None, None]) -> Insights:
        """Check how well an email is made.

        The server examines the stored email: its subject, text, images, links and size. It fetches nothing.
        """
        message = (await find_email(self._store, call)).message
        async with self._answers.room(message.size):
            content = shown_content(message, await self._store.read_content(message.id))
            checks = await _examine(self._previews, content, message)
        return {
            "score": score(checks),
            "checks": [check_json(check) for check in checks],
            "generated_at": timestamp(self._clock.now()),
        }


async def _examine(previews: Fence, content: bytes, message: Message) -> list[Check]:
    is_marketing = message.type is MessageType.MARKETING
    if len(content) <= SMALL:
        return examine_message(content, is_marketing)
    found = await previews.run(examine_message, content, is_marketing, lane=message.account_id)
    return [Check(**{**check, "mark": Mark(check["mark"])}) for check in found]


def _attachment(content: bytes, index: int) -> tuple[str, str, list[bytes]] | None:
    """Name, type and octets of an attachment, counted as `summarise` lists them."""
    try:
        parts = attachment_parts(walk(content))
    except MalformedMessage:
        return None
    if index >= len(parts):
        return None
    part = parts[index]
    charset = part.parameters.get("charset", "")
    media_type = f"{part.content_type}; charset={charset}" if _CHARSET.fullmatch(charset) else part.content_type
    return part.filename or "attachment", media_type, decode_pieces(content, part)


async def find_email(store: Store, call: Call[object, object]) -> MessageSummary:
    """The message of the path, if the key may find it. Raises `Refused`."""
    number = parse_id(call.params["id"], MESSAGE_PREFIX)
    summary = None if number is None else await store.get_message(call.key.account_id, MessageId(number))
    if summary is None or not may_find(call.key, summary.message):
        raise not_found("Email")
    return summary


async def show_email(store: Store, call: Call[object, object], answers: Answers) -> Response:
    """The message of the path with its attachments. Raises `Refused`."""
    summary = await find_email(store, call)
    call.room.give_back()  # the request's own work is done, and room is never waited for while some is held
    async with answers.room(summary.message.size):
        content = shown_content(summary.message, await store.read_content(summary.message.id))
        return respond(await offload.in_thread(lambda: encode(email_json(summary, summarise(content)))))
