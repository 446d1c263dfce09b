"""Messages, events and the Test Inbox: the reads of this stage. Sending by REST will stand beside this file."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from sendryd.api.requests import Gate, encode, invalid, not_found, read_cursor, read_limit, read_moment, read_text, read_word, respond
from sendryd.api.wire import (
    EVENT_WORDS,
    STATUS_WORDS,
    email_json,
    event_json,
    page,
    test_email_json,
    whole_test_email_json,
)
from sendryd.message.parse import summarise
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.ids import EVENT_PREFIX, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX, EventId, MessageId, parse_id
from sendryd.model.message import MessageSummary
from sendryd.store.base import EventFilter, MessageFilter, Store

_TRUE = {"true": True, "1": True, "false": False, "0": False}


class MailHandlers:
    """One method for each operation."""

    def __init__(self, store: Store, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    async def list_emails(self, request: Request) -> Response:
        """`GET /v1/emails`: messages of the key's mode."""
        key = await self._gate.admit(request)
        which = MessageFilter(mode=key.mode, status=read_word(request, "status", STATUS_WORDS), text=read_text(request, "q"))
        before = read_cursor(request, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX)
        found = await self._store.list_messages(
            key.account_id, which, limit=read_limit(request), before=None if before is None else MessageId(before)
        )
        total = None
        if read_word(request, "include_total", _TRUE):
            total = await self._store.count_messages(key.account_id, which)
        items = [email_json(summary) for summary in found.items]
        return respond(page(items, has_more=found.has_more, total=total, has_total=True))

    async def get_email(self, request: Request) -> Response:
        """`GET /v1/emails/:id`."""
        key = await self._gate.admit(request)
        summary = await self._find(key, request, MESSAGE_PREFIX)
        content = await self._read_content(summary)
        return respond(await asyncio.to_thread(lambda: encode(email_json(summary, summarise(content)))))

    async def list_email_events(self, request: Request) -> Response:
        """`GET /v1/emails/:id/events`."""
        key = await self._gate.admit(request)
        summary = await self._find(key, request, MESSAGE_PREFIX)
        which = EventFilter(mode=key.mode, message_id=summary.message.id, type=read_word(request, "type", EVENT_WORDS))
        return await self._list_events(key, request, which, has_total=False)

    async def list_logs(self, request: Request) -> Response:
        """`GET /v1/logs`: events of the key's mode."""
        key = await self._gate.admit(request)
        email_id = request.query_params.get("email_id")
        message_id = parse_id(email_id, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX) if email_id else None
        if email_id and message_id is None:
            raise invalid("email_id", "email_id is the id of a message, as em_…")
        which = EventFilter(
            mode=key.mode,
            message_id=None if message_id is None else MessageId(message_id),
            type=read_word(request, "type", EVENT_WORDS),
            recipient=read_text(request, "to"),
            text=read_text(request, "q"),
            created_from=read_moment(request, "from_date"),
            created_to=read_moment(request, "to_date", is_end=True),
        )
        return await self._list_events(key, request, which, has_total=True)

    async def _list_events(self, key: ApiKey, request: Request, which: EventFilter, *, has_total: bool) -> Response:
        before = read_cursor(request, EVENT_PREFIX)
        found = await self._store.list_events(
            key.account_id, which, limit=read_limit(request), before=None if before is None else EventId(before)
        )
        total = await self._store.count_events(key.account_id, which) if has_total else None
        items = [event_json(event) for event in found.items]
        return respond(page(items, has_more=found.has_more, total=total, has_total=has_total))

    async def list_test_emails(self, request: Request) -> Response:
        """`GET /v1/test-emails`: a test key sees its own messages, a live key those of all test keys."""
        key = await self._gate.admit(request)
        before = read_cursor(request, TEST_MESSAGE_PREFIX, MESSAGE_PREFIX)
        which = MessageFilter(mode=KeyMode.TEST, api_key_id=key.id if key.mode is KeyMode.TEST else None)
        found = await self._store.list_messages(
            key.account_id, which, limit=read_limit(request), before=None if before is None else MessageId(before)
        )
        items = [test_email_json(summary.message) for summary in found.items]
        return respond(page(items, has_more=found.has_more))

    async def get_test_email(self, request: Request) -> Response:
        """`GET /v1/test-emails/:id`, by `te_…` or `em_…`."""
        key = await self._gate.admit(request)
        number = parse_id(request.path_params["id"], TEST_MESSAGE_PREFIX, MESSAGE_PREFIX)
        summary = None if number is None else await self._store.get_message(key.account_id, MessageId(number))
        if summary is None or summary.message.mode is not KeyMode.TEST:
            raise not_found("Test email")
        if key.mode is KeyMode.TEST and summary.message.api_key_id != key.id:
            raise not_found("Test email")
        content = await self._read_content(summary)
        return respond(await asyncio.to_thread(lambda: encode(whole_test_email_json(summary.message, summarise(content)))))

    async def _find(self, key: ApiKey, request: Request, *prefixes: str) -> MessageSummary:
        number = parse_id(request.path_params["id"], *prefixes)
        summary = None if number is None else await self._store.get_message(key.account_id, MessageId(number))
        if summary is None or summary.message.mode is not key.mode:
            raise not_found("Email")
        return summary

    async def _read_content(self, summary: MessageSummary) -> bytes:
        return await self._store.read_content(summary.message.id)
