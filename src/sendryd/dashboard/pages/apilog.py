"""API log: the requests of apps, redacted, and how to repeat one."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.dashboard.app import Page
from sendryd.dashboard.live import Source
from sendryd.dashboard.mailframe import Link
from sendryd.dashboard.snippets import list_emails
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import (
    API_KEY_PREFIX,
    API_REQUEST_PREFIX,
    MESSAGE_PREFIX,
    TEMPLATE_PREFIX,
    WEBHOOK_PREFIX,
    ApiRequestId,
    format_id,
    parse_id,
)
from sendryd.store.base import ApiRequestFilter

PAGE: Final = 50
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_SEARCH: Final = 200  # characters
FAILED: Final = 400  # codes from here on
_MADE: Final = {
    MESSAGE_PREFIX: "/emails/{id}",
    TEMPLATE_PREFIX: "/templates/{id}",
    WEBHOOK_PREFIX: "/webhooks/{id}",
}  # pages by the prefix of an id


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A request."""

    id: str
    at: Moment
    method: str
    path: str
    code: int
    tone: str
    ms: str
    key: str
    agent: str
    request: str
    response: str
    made: Link | None  # what it made
    curl: str
    is_redacted: bool
    is_open: bool


async def show(visit: Visit) -> Response:
    """`GET /log/api`."""
    return visit.show("api_log.html", "api-log", await _read(visit))


async def _read(visit: Visit) -> Mapping[str, object]:
    q, method, code = visit.query("q").strip()[:MAX_SEARCH], visit.query("method"), visit.query("code")
    which = ApiRequestFilter(
        method=method if method in METHODS else None,
        status_code=int(code) if code.isascii() and code.isdecimal() and len(code) == len("200") else None,
        text=q or None,
    )
    opened, before = _number(visit.query("open")), _number(visit.query("before"))
    if opened is not None and before is None:
        before = ApiRequestId(opened + 1)
    found = await visit.needs.store.page_api_requests(visit.account_id, which, limit=PAGE, before=before)
    asked = {"q": q, "method": which.method or "", "code": str(which.status_code or "")}
    older = {**asked, "before": format_id(API_REQUEST_PREFIX, found.items[-1].id)} if found.has_more else {}
    return {
        "rows": tuple(_row(visit, each, opened) for each in found.items),
        "q_api": q,
        "method": which.method or "",
        "methods": METHODS,
        "code": asked["code"],
        "older": f"/log/api?{urlencode(older)}" if older else "",
        "has_filter": any(asked.values()) or before is not None,
        "http": visit.needs.http,
        "lines": list_emails(visit.place("", "user@example.org")),
    }


def _number(text: str) -> ApiRequestId | None:
    number = parse_id(text, API_REQUEST_PREFIX)
    return None if number is None else ApiRequestId(number)


def _row(visit: Visit, request: ApiRequest, opened: ApiRequestId | None) -> Row:
    return Row(
        id=format_id(API_REQUEST_PREFIX, request.id),
        at=moment_of(request.created_at),
        method=request.method,
        path=request.path,
        code=request.status_code,
        tone="bad" if request.status_code >= FAILED else "ok",
        ms=f"{request.duration_ms:,} ms",
        key=format_id(API_KEY_PREFIX, request.api_key_id),
        agent=request.user_agent or "",
        request=_indented(request.request_body),
        response=_indented(request.response_body),
        made=_made(visit, request),
        curl=_curl(visit.needs.http, request),
        is_redacted="[redacted]" in (request.request_body or "") or "recipient" in (request.request_body or ""),
        is_open=request.id == opened,
    )


def _indented(body: str | None) -> str:
    """JSON with a line for each field; other text as it is."""
    if not body:
        return ""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def _made(visit: Visit, request: ApiRequest) -> Link | None:
    """The page of what a successful request has made, by the id of its answer."""
    try:
        answer = json.loads(request.response_body or "")
    except ValueError:
        return None
    if request.method != "POST" or request.status_code >= FAILED or not isinstance(answer, dict):
        return None
    text = str(answer.get("id") or "")
    for prefix, path in _MADE.items():
        if parse_id(text, prefix) is not None and path in visit.needs.paths:
            return Link(text, path.replace("{id}", text))
    return None


def _curl(http: str, request: ApiRequest) -> str:
    """The request as a line for bash; the key is `$SENDRYD_KEY`."""
    lines = [f"curl -X {shlex.quote(request.method)} {shlex.quote(http + request.path)}", '-H "Authorization: Bearer $SENDRYD_KEY"']
    if request.request_body:
        lines += ["-H 'Content-Type: application/json'", f"--data {shlex.quote(request.request_body)}"]
    return " \\\n  ".join(lines)


PAGES: Final = (Page(path="/log/api", get=show, live=Source(page="api-log", read=_read, parts={"requests": "api_log_rows.html"})),)
