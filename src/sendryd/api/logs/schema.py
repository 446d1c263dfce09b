"""The log of events and the log of API requests as requests and answers have them. Pure."""

import json
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.api.framework.bodies import PageQuery, SearchQuery, SearchText, Whole
from sendryd.api.framework.moments import EndMoment, StartMoment
from sendryd.model import apirequest as model
from sendryd.model.ids import API_KEY_PREFIX, API_REQUEST_PREFIX, ORGANIZATION_PREFIX, format_id
from sendryd.model.moment import timestamp


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


class ApiRequest(TypedDict):
    """An API request in the log."""

    id: str
    org_id: str
    api_key_id: str | None
    method: str
    path: str
    status_code: int
    request_body: object
    response_body: object
    duration_ms: int | None
    user_agent: str | None
    created_at: str


def api_request_json(request: model.ApiRequest) -> ApiRequest:
    """A request and what it was answered."""
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


def _load(text: str | None) -> object:
    return None if text is None else json.loads(text)
