"""The routes, and what happens around every request: its id, its errors, its place in the log."""

import http
from collections.abc import Awaitable, Callable, Mapping
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
from sendryd.api.requests import Gate, Refused, refuse, respond
from sendryd.api.wire import error_json, smtp_info
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import Store
from sendryd.store.errors import StoreError

REQUEST_ID_LENGTH: Final = 20

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
        except StoreError as error:
            log.error("request_failed", path=request.scope["path"], error=repr(error))
            return refuse(Refused(Refusal(RefusalKey.TEMPORARILY_UNAVAILABLE)))
        except Exception:
            log.exception("request_failed", path=request.scope["path"])
            return respond(error_json(500, "internal_error", "Internal error; it has been logged"), 500)

    return guarded


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers: Mapping[str, str] = (error.headers if isinstance(error, HTTPException) else None) or {}
    code = "not_found" if status == http.HTTPStatus.NOT_FOUND else "bad_request"
    message = "No such resource here" if code == "not_found" else http.HTTPStatus(status).phrase
    return respond(error_json(status, code, message), status, headers)


class _WithRequestId:
    """Gives every answer an id by which its lines in the log can be found."""

    def __init__(self, app: ASGIApp, rand: Rand) -> None:
        self._app = app
        self._rand = rand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._rand.secret(REQUEST_ID_LENGTH)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode("ascii"))]
            await send(message)

        await self._app(scope, receive, send_with_id)
        log.debug("request", method=scope["method"], path=scope["path"], request_id=request_id)
