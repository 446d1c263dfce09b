"""One operation of the API, and what happens around each: who may call it, what it takes, what becomes of errors, its place in the log.

Every operation is declared once. Requests are admitted and read by the declaration, and the description at `/openapi.json` is made of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sendryd.api.framework.bodies import explain
from sendryd.api.framework.latency import LatencyBook
from sendryd.api.framework.requestbody import RequestBody, Room, no_room
from sendryd.api.framework.requestlog import RequestLog
from sendryd.api.framework.requests import (
    Gate,
    Refused,
    encode,
    invalid,
    live_key_needed,
    not_found,
    parse_cursor,
    refuse,
    request_id,
    respond,
)
from sendryd.api.framework.router import Match, Router
from sendryd.api.wire import Json, error_json
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.apikey import Scope as KeyScope
from sendryd.policy.permissions import LiveKeyNeeded
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.budget import BudgetExhausted, ContentBudget
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import FenceUnavailable, TooCostly
from sendryd.runtime.log import get_logger
from sendryd.store.errors import Changed, ContentDamaged, LimitReached, NotFound, StoreError, TookTooLong

SMALL_BODY: Final = 1024 * 1024  # octets: everything but mail and templates is far smaller
# Brackets and commas outside of strings. A hundred mails with all fields have half as many, and so has one with all the variables that a
# template takes; more would hold up everybody else while they are read.
MAX_VALUES: Final = 200_000
MAX_QUERY: Final = 8 * 1024  # octets, as much as servers in front of us pass on
MAX_PARAMETERS: Final = 50
_WHOLE: Final = ""  # the field of a fault that is no single field's

log = get_logger("api")


@dataclass(slots=True)
class Call:
    """One request on its way: what was read of it by its operation's declaration."""

    request: Request
    params: "dict[str, str]"
    caller: ApiKey | None
    room: Room  # for work on large bodies and messages
    body: Any = None  # of the type that the operation declares; None if it has none
    query: Any = None  # the same
    raw: bytes = b""  # the body as it came

    @property
    def key(self) -> ApiKey:
        """The key of an operation that asks for one."""
        if self.caller is None:
            raise AssertionError("a public operation asks who calls")
        return self.caller

    def cursor(self, *prefixes: str) -> int | None:
        """The number in the query's cursor. Raises `Refused`."""
        return parse_cursor(self.query.cursor, *prefixes)


Model = TypeVar("Model", bound=BaseModel)
Handler = Callable[[Call], Awaitable[Json | Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The declaration."""

    method: str
    path: str
    group: str
    summary: str
    handler: Handler
    answer: Any  # the type of the answer's body, from `api.shapes`; None: it is not JSON
    scope: KeyScope | None = KeyScope.READ_ONLY  # None: for everybody
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    max_body: int = SMALL_BODY
    is_live_only: bool = False  # test keys are refused, whatever their scope: live mail depends on what it changes
    is_logged: bool = True  # in the account's log of API requests
    is_listed: bool = True  # in the description; aliases are not
    is_send: bool = False  # a door for mail: its refusals are lines of the mail log
    is_timed: bool = True  # counts for the latency; what waits for others by design does not

    def alias(self, *, method: str | None = None, path: str | None = None) -> "Operation":
        """The same under another method or path that older clients use."""
        return replace(self, method=method or self.method, path=path or self.path, is_listed=False)


class Dispatcher:
    """Serves the operations."""

    def __init__(
        self,
        operations: Sequence[Operation],
        gate: Gate,
        clock: Clock,
        request_log: RequestLog,
        budget: ContentBudget,
        scratch_dir: Path,
        latency: LatencyBook,
    ) -> None:
        self._router = Router(operations)
        self._gate = gate
        self._clock = clock
        self._request_log = request_log
        self._budget = budget
        self._scratch_dir = scratch_dir
        self._latency = latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        request = Request(scope, receive)
        raw_path = scope.get("raw_path") or scope["path"].encode()
        found = self._router.find(scope["method"], raw_path.decode("latin-1"))
        if isinstance(found, Match):
            response = await self._serve(found.target, request, dict(found.params))
        elif found is None:
            response = respond(error_json(404, "not_found", "There is no such resource here"), 404)
        else:
            body = error_json(405, "method_not_allowed", "This resource does not take that method; see the Allow header")
            response = respond(body, 405, {"Allow": ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))})
        await response(scope, receive, send)

    async def _serve(self, operation: Operation, request: Request, params: dict[str, str]) -> Response:
        started = self._clock.monotonic()
        room = Room(self._budget.composing)
        call = Call(request, params, None, room)
        incoming: RequestBody | None = None
        answer: Json | Response | None = None
        headers: dict[str, str] = {}
        known: ApiKey | None = None  # whose request it is, admitted or not
        try:
            if operation.scope is not None:
                known = await self._gate.identify(request)
                self._gate.check(known, operation.scope, headers)
                call.caller = known
                if operation.is_live_only and call.caller.mode is KeyMode.TEST:
                    raise live_key_needed()
            if operation.query is not None:
                call.query = _read_query(operation.query, request)
            if operation.body is not None:
                incoming = RequestBody(self._budget, self._scratch_dir, call.caller)
                call.raw = await incoming.read(request, operation.max_body, room)
                is_small = len(call.raw) <= SMALL_BODY
                data = parse_json(call.raw) if is_small else await asyncio.to_thread(parse_json, call.raw)
                call.body = validate(operation.body, data)
            answer = await operation.handler(call)
            response = answer if isinstance(answer, Response) else respond(encode(answer), 200)
        except Exception as error:
            if operation.is_send and isinstance(error, Refused):
                self._gate.log_refusal(error.refusal, request, known)
            response = _answer_error(error, request)
        finally:
            room.give_back()
            if incoming is not None:
                incoming.close()
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        if call.caller is not None:
            duration = self._clock.monotonic() - started
            if operation.is_timed:
                self._latency.note(duration)
            if operation.is_logged:
                self._request_log.add(call.caller, request, response, call.raw, duration)
        return response


def _answer_error(error: Exception, request: Request) -> Response:
    """The peer gets a sentence, the log the truth."""
    if isinstance(error, Refused):
        return refuse(error)
    if isinstance(error, ClientDisconnect):
        return refuse(Refused(Refusal(RefusalKey.BAD_REQUEST, "The body ended early")))
    if isinstance(error, LiveKeyNeeded):
        return refuse(live_key_needed())
    if isinstance(error, Changed | LimitReached):
        text = str(error)
        return refuse(Refused(Refusal(RefusalKey.CONFLICT, text[:1].upper() + text[1:])))
    if isinstance(error, NotFound):  # deleted between two reads
        return refuse(not_found("Resource"))
    if isinstance(error, BudgetExhausted | OSError) and not isinstance(error, TimeoutError):
        log.warning("no_room_for_request", path=request.scope["path"], request_id=request_id(request), error=repr(error))
        return refuse(no_room(error))
    if isinstance(error, TooCostly):
        return refuse(Refused(Refusal(RefusalKey.VALIDATION_ERROR, f"This cannot be shown: {error}")))
    if isinstance(error, FenceUnavailable):
        log.warning("preview_not_made", path=request.scope["path"], request_id=request_id(request), reason=str(error))
        busy = error_json(503, "internal_error", "Too many large texts are being worked on: try again in a few seconds")
        return respond(busy, 503, {"Retry-After": "5"})
    if isinstance(error, TookTooLong):
        log.warning("search_broken_off", path=request.scope["path"], request_id=request_id(request))
        sentence = "The search took too long: narrow it, by dates, a status or a recipient, and leave out the total"
        return respond(error_json(503, "internal_error", sentence), 503)
    if isinstance(error, ContentDamaged):
        log.error("content_damaged", path=request.scope["path"], request_id=request_id(request), error=str(error))
        sentence = "The stored content of this message is missing or damaged; the details have been logged under the id in X-Request-Id"
        return respond(error_json(503, "internal_error", sentence), 503)
    if isinstance(error, StoreError):
        log.error("request_failed", path=request.scope["path"], request_id=request_id(request), error=repr(error))
        return refuse(Refused(Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)))
    log.error("request_failed", path=request.scope["path"], request_id=request_id(request), exc_info=error)
    return respond(error_json(500, "internal_error", "Internal error; it has been logged under the id in X-Request-Id"), 500)


def parse_json(raw: bytes) -> Any:
    """What a body says. Raises `Refused`."""
    if not raw:
        return {}  # some clients send a content type and no body
    if len(raw) > SMALL_BODY and _has_too_many_values(raw):
        raise Refused(Refusal(RefusalKey.BAD_REQUEST, f"The body has more than {MAX_VALUES:,} values: send several requests"))
    try:
        return from_json(raw, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise Refused(Refusal(RefusalKey.BAD_REQUEST, f"The body is not JSON: {error}")) from None


def _has_too_many_values(raw: bytes) -> bool:
    if _count_marks(raw) <= MAX_VALUES:
        return False
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")  # quotation marks in strings would look like ends of them
    if plain.count(b'"') > 4 * MAX_VALUES:  # those of a name and a string for each value
        return True
    return _count_marks(b"".join(plain.split(b'"')[::2])) > MAX_VALUES


def _count_marks(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def validate(model: type[Model], data: Any) -> Model:
    """The data as the model has it. Raises `Refused`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        sentence, details = explain(error, data)
        raise Refused(Refusal(RefusalKey.VALIDATION_ERROR, sentence), details=details) from None


def _read_query(model: type[BaseModel], request: Request) -> BaseModel:
    text = request.scope["query_string"].decode("latin-1")
    if len(text) > MAX_QUERY:
        raise invalid(_WHOLE, f"the query has at most {MAX_QUERY} characters")
    try:
        pairs = parse_qsl(text, keep_blank_values=False, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise invalid(_WHOLE, f"the query cannot be read: percent-encode it as UTF-8, and give at most {MAX_PARAMETERS} values") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        _check_given_once(model, [name for name, _ in pairs])
    return validate(model, values)


def _check_given_once(model: type[BaseModel], given: list[str]) -> None:
    """Whether each parameter that the query reads has one value. What it does not read may be given as often as one likes. Raises `Refused`."""
    for name in model.model_fields:
        if given.count(name) > 1:
            raise invalid(name, f"{name}: it is given more than once; give it once")
