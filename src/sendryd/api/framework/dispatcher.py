"""What happens around each operation: who may call it, what it takes, what becomes of errors, its place in the log."""

from collections.abc import Sequence
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sendryd.accounts.errors import BadField
from sendryd.api.framework.answers import error_json
from sendryd.api.framework.latency import LatencyBook
from sendryd.api.framework.operation import SMALL_BODY, Call, Operation
from sendryd.api.framework.reading import parse_json, read_query, validate
from sendryd.api.framework.requestbody import RequestBody, Room, no_room
from sendryd.api.framework.requestlog import RequestLog
from sendryd.api.framework.requests import Gate, Refused, encode, invalid, live_key_needed, not_found, refuse, request_id, respond
from sendryd.api.framework.router import Match, Router
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.policy.permissions import LiveKeyNeeded
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime import offload
from sendryd.runtime.budget import BudgetExhausted, ContentBudget
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import FenceUnavailable, TooCostly
from sendryd.runtime.log import get_logger
from sendryd.store.errors import Changed, ContentDamaged, LimitReached, NotAllowed, NotFound, StoreError, TookTooLong

log = get_logger("api")


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
        call: Call[object, object] = Call(request, params, None, room, None, None)
        incoming: RequestBody | None = None
        headers: dict[str, str] = {}
        known: ApiKey | None = None  # whose request it is, admitted or not
        try:
            if operation.scope is not None:
                known = await self._gate.identify(request)
                self._gate.check(known, operation.scope, headers, request.client.host if request.client else "")
                call.caller = known
                if operation.is_live_only and call.caller.mode is KeyMode.TEST:
                    raise live_key_needed()
            if operation.query is not None:
                call.query = read_query(operation.query, request)
            if operation.body is not None:
                incoming = RequestBody(self._budget, self._scratch_dir, call.caller)
                call.raw = await incoming.read(request, operation.max_body, room)
                is_small = len(call.raw) <= SMALL_BODY
                data = parse_json(call.raw) if is_small else await offload.in_thread(parse_json, call.raw)
                call.body = validate(operation.body, data)
            answer = await operation.handler(call)
            response = answer if isinstance(answer, Response) else respond(encode(answer), 200)
        except Exception as error:
            if operation.is_send and isinstance(error, Refused):
                self._gate.log_refusal(error.refusal, request, known)
            response = _answer_error(error, request, operation)
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


def _answer_error(error: Exception, request: Request, operation: Operation) -> Response:
    """The peer gets a sentence, the log the truth."""
    if isinstance(error, Refused):
        return refuse(error)
    if isinstance(error, ClientDisconnect):
        return refuse(Refused(Refusal(RefusalKey.BAD_REQUEST, "The body ended early")))
    if isinstance(error, LiveKeyNeeded):
        return refuse(live_key_needed())
    if isinstance(error, Changed | LimitReached | NotAllowed):
        text = str(error)
        return refuse(Refused(Refusal(RefusalKey.CONFLICT, text[:1].upper() + text[1:])))
    if isinstance(error, NotFound):
        return refuse(not_found(operation.noun))
    if isinstance(error, BadField):
        return refuse(invalid(error.field, error.sentence))
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
