"""The routes, and what happens around every request: its id, its errors, its place in the log."""

import http
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sendryd import __version__
from sendryd.api import mail
from sendryd.api.health import Health
from sendryd.api.requests import REQUEST_ID_KEY, Gate, Refused, not_found, refuse, request_id, respond
from sendryd.api.wire import error_json, smtp_info
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import Store
from sendryd.store.errors import NotFound, StoreError

REQUEST_ID_LENGTH: Final = 20
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))  # of every answer: mail is private
_ROUTING_ERRORS: Final = {
    404: ("not_found", "There is no such resource here"),
    405: ("method_not_allowed", "This resource does not take that method; see the Allow header"),
}

log = get_logger("api")

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDependencies:
    """What the handlers need."""

    store: Store
    gate: Gate
    health: Health
    rand: Rand
    hostname: str
    smtp_port: int


def create_app(dependencies: ApiDependencies) -> ASGIApp:
    """The ASGI application."""
    health = dependencies.health
    reads = mail.MailHandlers(dependencies.store, dependencies.gate)

    async def get_smtp_info(request: Request) -> Response:
        await dependencies.gate.admit(request)
        return respond(smtp_info(dependencies.hostname, dependencies.smtp_port))

    routes: dict[str, Handler] = {
        "/v1/smtp/info": get_smtp_info,
        "/v1/emails": reads.list_emails,
        "/v1/emails/{id}": reads.get_email,
        "/v1/emails/{id}/events": reads.list_email_events,
        "/v1/logs": reads.list_logs,
        "/v1/test-emails": reads.list_test_emails,
        "/v1/test-emails/{id}": reads.get_test_email,
        "/healthz": health.get_health,
        "/readyz": health.get_readiness,
        "/metrics": health.get_metrics,
        "/": _get_root,
    }
    app = Starlette(
        routes=[
            # Both forms are served as they are: the SDKs do not follow redirects.
            Route(form, _guarded(handler), methods=["GET"])
            for path, handler in routes.items()
            for form in dict.fromkeys((path, path.rstrip("/") + "/"))
        ],
        exception_handlers={HTTPException: _on_http_exception},
    )
    app.router.redirect_slashes = False
    return _WithRequestId(app, dependencies.rand)


async def _get_root(_request: Request) -> Response:
    return PlainTextResponse(f"sendryd {__version__}\n")


def _guarded(handler: Handler) -> Handler:
    """Errors become answers: the peer gets a sentence, the log the truth."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            return refuse(refused)
        except NotFound:  # deleted between two reads
            return refuse(not_found("Resource"))
        except StoreError as error:
            log.error("request_failed", path=request.scope["path"], request_id=request_id(request), error=repr(error))
            return refuse(Refused(Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)))
        except Exception:
            log.exception("request_failed", path=request.scope["path"], request_id=request_id(request))
            return respond(error_json(500, "internal_error", "Internal error; it has been logged under the id in X-Request-Id"), 500)

    return guarded


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code, message = _ROUTING_ERRORS.get(error.status_code, ("bad_request", http.HTTPStatus(error.status_code).phrase))
    return respond(error_json(error.status_code, code, message), error.status_code, error.headers)


class _WithRequestId:
    """Gives every answer an id by which its lines in the log can be found, and keeps it out of caches."""

    def __init__(self, app: ASGIApp, rand: Rand) -> None:
        self._app = app
        self._rand = rand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = self._rand.secret(REQUEST_ID_LENGTH)
        scope[REQUEST_ID_KEY] = number
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode("ascii")), *_HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_id)
        log.debug("request", method=scope["method"], path=scope["path"], status=status, request_id=number)
