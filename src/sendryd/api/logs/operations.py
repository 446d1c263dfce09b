"""The log of events, and the log of API requests."""

import json
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Field

from sendryd.api.emails.schema import EmailEvent, event_json
from sendryd.api.framework.answers import CountedPage, Json, counted_page
from sendryd.api.framework.bodies import PageQuery, SearchQuery, SearchText, Whole
from sendryd.api.framework.moments import EndMoment, StartMoment
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, parse_cursor, read_word
from sendryd.api.framework.words import EVENT_WORDS
from sendryd.api.shapes import ApiRequest as ApiRequestShape
from sendryd.api.wire import page
from sendryd.model.apikey import KeyMode
from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import (
    API_KEY_PREFIX,
    API_REQUEST_PREFIX,
    EVENT_PREFIX,
    MESSAGE_PREFIX,
    ORGANIZATION_PREFIX,
    TEST_MESSAGE_PREFIX,
    ApiRequestId,
    EventId,
    MessageId,
    format_id,
    parse_id,
)
from sendryd.model.moment import timestamp
from sendryd.store.base import ApiRequestFilter, EventFilter, Store

GROUP: Final = "Analytics"


class LogsQuery(SearchQuery):
    """Of the log of events."""

    email_id: str | None = None
    type: str | None = None
    to: SearchText | None = None
    from_date: StartMoment | None = None
    to_date: EndMoment | None = None


class ApiRequestsQuery(PageQuery):
    """Of the log of API requests."""

    method: Annotated[str, Field(max_length=20)] | None = None
    status_code: Whole | None = None
    path: SearchText | None = None
    q: SearchText | None = None


class LogHandlers:
    """Both logs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> list[Operation]:
        """The declarations."""
        events = Operation(
            method="GET",
            path="/v1/logs",
            group=GROUP,
            summary="List events of the key's mode, newest first",
            handler=self.list_events,
            is_logged=False,
        )
        return [
            events,
            events.alias(path="/v1/analytics/logs"),
            Operation(
                method="GET",
                path="/v1/logs/api-requests",
                group=GROUP,
                summary="List the account's API requests, newest first",
                handler=self.list_api_requests,
                answers=CountedPage[ApiRequestShape],
                is_logged=False,
            ),
        ]

    async def list_events(self, call: Call[None, LogsQuery]) -> CountedPage[EmailEvent]:
        """`GET /v1/logs`: events of the key's mode."""
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
        before = parse_cursor(call.query.cursor, EVENT_PREFIX)
        account_id = call.key.account_id
        found = await self._store.list_events(account_id, which, limit=query.limit, before=None if before is None else EventId(before))
        total = await self._store.count_events(account_id, which)
        return counted_page([event_json(event) for event in found.items], has_more=found.has_more, total=total)

    async def list_api_requests(self, call: Call[None, ApiRequestsQuery]) -> Json:
        """`GET /v1/logs/api-requests`."""
        query: ApiRequestsQuery = call.query
        which = ApiRequestFilter(
            method=query.method.upper() if query.method else None, status_code=query.status_code, path=query.path, text=query.q
        )
        before = parse_cursor(call.query.cursor, API_REQUEST_PREFIX)
        account_id = call.key.account_id
        found = await self._store.page_api_requests(
            account_id, which, limit=query.limit, before=None if before is None else ApiRequestId(before)
        )
        total = await self._store.count_api_requests(account_id, which)
        items = found.items
        if call.key.mode is KeyMode.TEST:
            # Answers to live keys may hold what leads to live mail, such as the link to a shared message.
            tests = {key.id for key in await self._store.list_api_keys(account_id) if key.mode is KeyMode.TEST}
            items = tuple(each if each.api_key_id in tests else replace(each, request_body=None, response_body=None) for each in items)
        return page([_api_request_json(each) for each in items], has_more=found.has_more, total=total, has_total=True)


def _api_request_json(request: ApiRequest) -> Json:
    return {
        "id": format_id(API_REQUEST_PREFIX, request.id),
        "org_id": format_id(ORGANIZATION_PREFIX, request.account_id),
        "api_key_id": format_id(API_KEY_PREFIX, request.api_key_id),
        "method": request.method,
        "path": request.path,
        "status_code": request.status_code,
        "request_body": _load(request.request_body),
        "response_body": _load(request.response_body),
        "duration_ms": request.duration_ms,
        "user_agent": request.user_agent,
        "created_at": timestamp(request.created_at),
    }


def _load(text: str | None) -> Any:
    return None if text is None else json.loads(text)
