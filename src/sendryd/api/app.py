"""The ASGI application: the operations under /v1, the pages beside them, and what happens around every request: its id, its errors."""

import http
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sendryd import __version__
from sendryd.accounts.account import Accounts
from sendryd.accounts.api_keys import ApiKeys
from sendryd.accounts.domains import Domains
from sendryd.accounts.inbound import Inbound
from sendryd.accounts.invitations import Invitations
from sendryd.accounts.people import People
from sendryd.accounts.scheduled_reports import ScheduledReports
from sendryd.accounts.statistics import Statistics
from sendryd.accounts.suppressions import Suppressions
from sendryd.accounts.templates import Templates
from sendryd.accounts.webhooks import Webhooks
from sendryd.api.analytics.operations import AnalyticsHandlers
from sendryd.api.api_keys.operations import KeyHandlers
from sendryd.api.domains.operations import DomainHandlers
from sendryd.api.emails.operations import EmailHandlers, LinkSettings
from sendryd.api.framework.answers import error_json
from sendryd.api.framework.dispatcher import Dispatcher
from sendryd.api.framework.docs import DocsHandlers
from sendryd.api.framework.latency import LatencyBook
from sendryd.api.framework.operation import Operation
from sendryd.api.framework.requestlog import RequestLog
from sendryd.api.framework.requests import REQUEST_ID_KEY, Gate, respond
from sendryd.api.health import Health
from sendryd.api.inbound.operations import InboundHandlers
from sendryd.api.logs.operations import LogHandlers
from sendryd.api.organizations.operations import OrganizationHandlers
from sendryd.api.policyhost import PolicyHost
from sendryd.api.regions.operations import RegionHandlers
from sendryd.api.scheduled_reports.operations import ReportHandlers
from sendryd.api.sending.changes import ChangeHandlers
from sendryd.api.sending.composer import Composer
from sendryd.api.sending.operations import SendHandlers
from sendryd.api.smtp.operations import SmtpInfoHandlers
from sendryd.api.suppressions.operations import SuppressionHandlers
from sendryd.api.system.operations import SystemHandlers
from sendryd.api.system.uptime import StatusBook
from sendryd.api.team.operations import TeamHandlers
from sendryd.api.templates.operations import TemplateHandlers
from sendryd.api.test_emails.operations import TestInboxHandlers
from sendryd.api.unsubscribes.operations import UnsubscribeHandlers
from sendryd.api.webhooks.operations import WebhookHandlers
from sendryd.intake.accept import Intake
from sendryd.intake.personal import Personaliser
from sendryd.model.ids import AccountId
from sendryd.runtime.answers import Answers
from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.clock import Clock
from sendryd.runtime.fence import Fences
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import Rand
from sendryd.store.base import Store

REQUEST_ID_LENGTH: Final = 20
API_PREFIX: Final = "/v1"
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))  # of every answer: mail is private
_ROUTING_ERRORS: Final = {
    404: ("not_found", "There is no such resource here"),
    405: ("method_not_allowed", "This resource does not take that method; see the Allow header"),
}

log = get_logger("api")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDependencies:
    """What the handlers need."""

    store: Store
    accounts: Accounts
    domains: Domains
    keys: ApiKeys
    lists: Suppressions
    people: People
    invitations: Invitations
    scheduled_reports: ScheduledReports
    webhooks: Webhooks
    gate: Gate
    health: Health
    clock: Clock
    rand: Rand
    request_log: RequestLog
    latency: LatencyBook
    status: StatusBook
    intake: Intake
    templates: Templates
    fences: Fences
    personaliser: Personaliser
    ids: IdSource
    max_size: int  # octets of a request that sends
    public_url: str
    secret: bytes  # what links in mail are signed with
    hostname: str
    smtp_port: int
    allow_private_networks: bool
    budget: ContentBudget
    inbound_address: Callable[[AccountId], str | None]  # None: no mail comes in
    scratch_dir: Path  # where large bodies and answers are while they come and go

    @property
    def policy_host(self) -> PolicyHost:
        """The policies for mail to our domains."""
        return PolicyHost(self.store, self.hostname)

    @property
    def answers(self) -> Answers:
        """Answers made of contents."""
        return Answers(self.budget.answering, self.budget.answer_files, self.budget.turns, self.scratch_dir)


def create_operations(needs: ApiDependencies) -> list[Operation]:
    """All operations. Their order is that of the description."""
    composer = Composer(needs.intake, needs.templates, needs.rand, max_size=needs.max_size)
    resources = (
        SendHandlers(needs.intake, composer, needs.clock, max_size=needs.max_size),
        ChangeHandlers(needs.store, needs.intake, composer, needs.answers, max_size=needs.max_size, clock=needs.clock, ids=needs.ids),
        EmailHandlers(needs.store, LinkSettings(needs.public_url, needs.secret), needs.clock, needs.answers, needs.fences),
        SmtpInfoHandlers(needs.hostname, needs.smtp_port),
        TestInboxHandlers(needs.store, needs.personaliser, needs.clock, needs.answers),
        DomainHandlers(needs.store, needs.domains, needs.gate.directory),
        KeyHandlers(needs.store, needs.keys, needs.gate.directory),
        WebhookHandlers(needs.store, needs.webhooks),
        TemplateHandlers(needs.templates),
        SuppressionHandlers(needs.store, needs.lists),
        UnsubscribeHandlers(needs.store, needs.lists),
        LogHandlers(needs.store),
        AnalyticsHandlers(Statistics(needs.store), needs.accounts),
        ReportHandlers(needs.scheduled_reports),
        OrganizationHandlers(needs.accounts),
        TeamHandlers(needs.people, needs.invitations),
        RegionHandlers(needs.hostname),
        InboundHandlers(
            Inbound(needs.accounts, needs.store, needs.rand, allow_private=needs.allow_private_networks, address=needs.inbound_address)
        ),
        SystemHandlers(needs.status, needs.latency),
    )
    return [operation for resource in resources for operation in resource.operations()]


def create_app(needs: ApiDependencies, pages: Sequence[BaseRoute] = ()) -> ASGIApp:
    """The ASGI application. `pages` are those of other parts of the program that are served at the same address."""
    health = needs.health
    declared = create_operations(needs)
    operations = Dispatcher(declared, needs.gate, needs.clock, needs.request_log, needs.budget, needs.scratch_dir, needs.latency)
    own = {"/healthz": health.get_health, "/readyz": health.get_readiness, "/metrics": health.get_metrics}
    others = Starlette(
        routes=[
            *(
                Route(form, handler, methods=["GET"])
                for path, handler in own.items()
                for form in dict.fromkeys((path, path.rstrip("/") + "/"))
            ),
            *DocsHandlers(declared).routes(),
            *needs.policy_host.routes(),
            *pages,
            Route("/", _get_root, methods=["GET"]),  # unless a page has it
        ],
        exception_handlers={HTTPException: _on_http_exception, Exception: _on_exception},
    )
    others.router.redirect_slashes = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_operation = scope["type"] == "http" and scope["path"].startswith(API_PREFIX)
        await (operations if is_operation else others)(scope, receive, send)

    return _WithRequestId(app, needs.rand)


async def _get_root(_request: Request) -> Response:
    return PlainTextResponse(f"sendryd {__version__}\nThe API is described at /docs.\n")


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code, message = _ROUTING_ERRORS.get(error.status_code, ("bad_request", http.HTTPStatus(error.status_code).phrase))
    return respond(error_json(error.status_code, code, message), error.status_code, error.headers)


async def _on_exception(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.scope["path"], exc_info=error)
    return respond(error_json(500, "internal_error", "Internal error; it has been logged under the id in X-Request-Id"), 500)


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
                names = {name for name, _ in message["headers"]}
                added = [header for header in _HEADERS if header[0] not in names]
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode("ascii")), *added]
            await send(message)

        await self._app(scope, receive, send_with_id)
        log.debug("request", method=scope["method"], path=scope["path"], status=status, request_id=number)
