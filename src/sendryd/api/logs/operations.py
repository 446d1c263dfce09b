"""The log of events, and the log of API requests."""

from dataclasses import replace

from sendryd.api.analytics.operations import GROUP
from sendryd.api.emails.schema import EmailEvent, event_json
from sendryd.api.framework.answers import CountedPage, counted_page
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, parse_cursor, read_word
from sendryd.api.framework.words import EVENT_WORDS
from sendryd.api.logs.schema import ApiRequest, ApiRequestsQuery, LogsQuery, api_request_json
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import (
    API_REQUEST_PREFIX,
    EVENT_PREFIX,
    MESSAGE_PREFIX,
    TEST_MESSAGE_PREFIX,
    ApiRequestId,
    EventId,
    MessageId,
    parse_id,
)
from sendryd.policy.permissions import may_see_bodies
from sendryd.store.base import ApiRequestFilter, EventFilter, Store


class LogHandlers:
    """The operations on both logs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> list[Operation]:
        """The declarations."""
        events = Operation(GROUP, "GET /v1/logs", self.list_events, is_logged=False)
        return [
            events,
            events.alias("GET /v1/analytics/logs"),
            Operation(GROUP, "GET /v1/logs/api-requests", self.list_api_requests, is_logged=False),
        ]

    async def list_events(self, call: Call[None, LogsQuery]) -> CountedPage[EmailEvent]:
        """List events, newest first.

        A live key lists the events of live mail, a test key those of test mail.
        """
        query = call.query
        message_id = parse_id(query.email_id, MESSAGE_PREFIX, TEST_MESSAGE_PREFIX) if query.email_id else None
        if query.email_id and message_id is None:
            raise invalid("email_id", "email_id is the id of a message, as em_…")
        which = EventFilter(
            mode=call.key.mode,
            message_id=None if message_id is None else MessageId(message_id),
            type=read_word("type", query.type, EVENT_WORDS),
            recipient=query.to,
            text=query.q,
            created_from=query.from_date,
            created_to=query.to_date,
        )
        before = parse_cursor(query.cursor, EventId, EVENT_PREFIX)
        account_id = call.key.account_id
        found = await self._store.list_events(account_id, which, limit=query.limit, before=before)
        total = await self._store.count_events(account_id, which)
        return counted_page([event_json(event) for event in found.items], has_more=found.has_more, total=total)

    async def list_api_requests(self, call: Call[None, ApiRequestsQuery]) -> CountedPage[ApiRequest]:
        """List the account's API requests, newest first.

        A test key sees the bodies of requests made with test keys only. Secrets in bodies are masked.
        """
        query = call.query
        which = ApiRequestFilter(
            method=query.method.upper() if query.method else None, status_code=query.status_code, path=query.path, text=query.q
        )
        before = parse_cursor(query.cursor, ApiRequestId, API_REQUEST_PREFIX)
        account_id = call.key.account_id
        found = await self._store.page_api_requests(account_id, which, limit=query.limit, before=before)
        total = await self._store.count_api_requests(account_id, which)
        items = found.items
        if not may_see_bodies(call.key, KeyMode.LIVE):
            tests = {key.id for key in await self._store.list_api_keys(account_id) if key.mode is KeyMode.TEST}
            items = tuple(each if each.api_key_id in tests else replace(each, request_body=None, response_body=None) for each in items)
        return counted_page([api_request_json(each) for each in items], has_more=found.has_more, total=total)
