"""Which daemons make up which role. A role is imported only if it runs, so that a process costs no more than it does."""

import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from sendryd.app.build import Basics, flatten, seconds
from sendryd.app.daemons import Daemon
from sendryd.app.values import EVERY_ADDRESS
from sendryd.intake.directory import Directory
from sendryd.intake.personal import Personaliser
from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.tls import ServerCertificate, server_context

if TYPE_CHECKING:
    import uvicorn

    from sendryd.api.framework.limits import ConnectionLimits as HttpConnectionLimits
    from sendryd.api.health import Health
    from sendryd.delivery.scheduler import Scheduler
    from sendryd.intake.accept import Intake
    from sendryd.notify.dispatcher import Dispatcher
    from sendryd.submission.listener import Listener

TOUCH_INTERVAL: Final = 30.0  # seconds between writes of when keys were last used
CERTIFICATE_INTERVAL: Final = 10.0  # seconds between looks at the certificate's files
HTTP_DRAIN_TIMEOUT: Final = 5  # seconds for answers under way when the program stops; all requests are short


class Role(StrEnum):
    """What a process may do."""

    SMTP = "smtp"
    HTTP = "http"
    DELIVERY = "delivery"
    WEBHOOKS = "webhooks"
    UPKEEP = "upkeep"


@dataclass(frozen=True, slots=True)
class Shared:
    """What several roles of one process share."""

    directory: Directory
    public_url: str  # base of the links in mail
    secret: bytes  # what those links are signed with
    budget: ContentBudget = field(default_factory=ContentBudget)

    @property
    def personaliser(self) -> Personaliser:
        """Makes the recipients' own copies."""
        return Personaliser(self.public_url, self.secret)


@dataclass(slots=True)
class Running:
    """What was started, in the order in which it is stopped."""

    daemons: list[Daemon] = field(default_factory=list)
    scheduler: "Scheduler | None" = None
    listener: "Listener | None" = None
    http: "uvicorn.Server | None" = None
    http_limits: "HttpConnectionLimits | None" = None
    http_tls: ssl.SSLContext | None = None
    health: "Health | None" = None
    intake: "Intake | None" = None
    dispatcher: "Dispatcher | None" = None
    figures: dict[str, Callable[[], Mapping[str, float]]] = field(default_factory=dict)  # for /metrics, by the first part of their names
    stops: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sockets:
    """What was bound."""

    smtp: tuple[socket.socket, ...] = ()
    smtps: tuple[socket.socket, ...] = ()
    http: socket.socket | None = None


def intake_of(basics: Basics, running: Running, shared: Shared) -> "Intake":
    """The single door of this process."""
    from sendryd.intake.accept import Intake, IntakeSettings
    from sendryd.intake.quota import Quota, Quotas

    if running.intake is None:
        settings = basics.settings
        of_key = Quota(settings.key_quota.count, settings.key_quota.period) if settings.key_quota else None
        of_account = Quota(settings.account_quota.count, settings.account_quota.period) if settings.account_quota else None
        running.figures["fence"] = basics.fences.statistics
        running.intake = Intake(
            basics.store,
            shared.directory,
            IntakeSettings(hostname=settings.hostname, hide_client_address=settings.hide_client_address),
            clock=basics.clock,
            ids=basics.ids,
            rand=basics.rand,
            metrics=basics.metrics,
            mail_log=basics.mail_log,
            wakeup=basics.wakeup,
            handoff=running.scheduler,
            templates=basics.templates,
            quotas=Quotas(basics.store, basics.clock, of_key=of_key, of_account=of_account) if of_key or of_account else None,
        )
    return running.intake


async def start_delivery(basics: Basics, running: Running, shared: Shared) -> None:
    """The delivery engine."""
    from sendryd.delivery.contents import Contents
    from sendryd.delivery.destinations import Destinations
    from sendryd.delivery.pool import ConnectionPool
    from sendryd.delivery.scheduler import Scheduler
    from sendryd.delivery.signer import Signer
    from sendryd.delivery.tlskeeper import TlsKeeper
    from sendryd.delivery.transcript import Tracer
    from sendryd.delivery.transport import Connection, TlsContexts
    from sendryd.delivery.worker import Worker, WorkerContext, WorkerSettings
    from sendryd.runtime.tls import client_context, weak_client_context
    from sendryd.smtp.timeouts import CLIENT_TIMEOUTS

    settings = basics.settings
    pool: ConnectionPool[Connection] = ConnectionPool(basics.clock)
    signer = Signer(basics.store, basics.clock)
    listened = [each.host for each in (*settings.smtp_listen, *settings.smtps_listen) if each.port == settings.mx_port]
    destinations = Destinations(
        basics.resolver,
        basics.denials,
        hostname=settings.hostname,
        smart_host=settings.smarthost,
        plan=basics.retry_plan,
        clock=basics.clock,
        rand=basics.rand,
        own_addresses=frozenset(listened) - EVERY_ADDRESS,
        is_host_own=not EVERY_ADDRESS.isdisjoint(listened),
    )
    tracer = Tracer(basics.store, basics.clock)
    worker = Worker(
        WorkerContext(
            store=basics.store,
            contents=Contents(basics.store, shared.personaliser, signer, shared.budget, settings.data_dir),
            destinations=destinations,
            pool=pool,
            contexts=TlsContexts(
                verified=cache(partial(client_context, verify=True)), unverified=client_context(verify=False), weak=weak_client_context()
            ),
            signer=signer,
            clock=basics.clock,
            rand=basics.rand,
            ids=basics.ids,
            mail_log=basics.mail_log,
            tracer=tracer,
        ),
        WorkerSettings(
            hostname=settings.hostname,
            mx_port=settings.mx_port,
            smart_host=settings.smarthost,
            allow_private_networks=settings.allow_private_networks,
            retry_plan=basics.retry_plan,
            timeouts=CLIENT_TIMEOUTS,
        ),
    )
    tls_keeper = TlsKeeper(basics.store, worker.tls_memory, basics.clock)
    await tls_keeper.load()
    scheduler = Scheduler(
        basics.store,
        worker,
        destinations,
        plan=basics.retry_plan,
        owner=basics.owner,
        clock=basics.clock,
        rand=basics.rand,
        wakeup=basics.wakeup,
        has_smart_host=settings.smarthost is not None,
        memory=shared.budget.handed_over,
    )
    running.scheduler = scheduler
    running.figures |= {
        "delivery": scheduler.statistics,
        "connections": pool.statistics,
        "dns": basics.resolver.statistics,
        "domains": basics.denials.statistics,
    }
    running.daemons += [scheduler.run, scheduler.keep_house, scheduler.watch_stalls, pool.run, tracer.run, tls_keeper.run]

    async def stop() -> None:
        await scheduler.stop()
        await tls_keeper.store()
        await pool.aclose()
        signer.close()

    running.stops.append(stop)


async def start_smtp(basics: Basics, running: Running, shared: Shared, certificate: ServerCertificate, sockets: Sockets) -> None:
    """The submission listeners."""
    from sendryd.policy.penalty import FailureLog
    from sendryd.smtp.server import ServerLimits
    from sendryd.submission.listener import ConnectionLimits, Listener
    from sendryd.submission.session import SessionContext

    settings = basics.settings
    context = SessionContext(
        hostname=settings.hostname,
        limits=ServerLimits(max_message_size=settings.max_message_size, max_recipients=settings.max_recipients),
        certificate=certificate,
        intake=intake_of(basics, running, shared),
        directory=shared.directory,
        failures=FailureLog(),
        budget=shared.budget,
        scratch_dir=settings.data_dir,
        metrics=basics.metrics,
        mail_log=basics.mail_log,
        clock=basics.clock,
    )
    limits = ConnectionLimits(
        total=settings.smtp_max_connections,
        per_address=settings.smtp_max_connections_per_address,
        unauthenticated_per_address=settings.smtp_max_connections_unauthenticated_per_address,
    )
    listener = Listener(context, limits)
    for sock in sockets.smtp:
        await listener.listen(sock)
    for sock in sockets.smtps:
        await listener.listen(sock, is_implicit_tls=True)
    running.listener = listener
    running.figures |= {"submission": listener.statistics, "content": shared.budget.statistics}
    running.stops.insert(0, listener.aclose)


def start_http(basics: Basics, running: Running, shared: Shared, smtp_port: int) -> None:
    """The REST API, health and metrics."""
    import uvicorn

    from sendryd.accounts.account import AccountOffice
    from sendryd.api.app import ApiDependencies, create_app
    from sendryd.api.framework.connection import limited
    from sendryd.api.framework.latency import LatencyBook
    from sendryd.api.framework.limits import DESCRIPTOR_SHARE, KEEP_ALIVE, MAX_CONNECTIONS, ConnectionLimits, RequestLimits
    from sendryd.api.framework.requestlog import RequestLog
    from sendryd.api.framework.requests import Gate
    from sendryd.api.health import Health
    from sendryd.api.system.uptime import DELIVERY, SMTP, WEBHOOKS, StatusBook
    from sendryd.policy.ratelimit import RateLimiter
    from sendryd.runtime.answers import Answers
    from sendryd.tracking.app import TrackingDependencies, routes
    from sendryd.tracking.recorder import Recorder

    settings = basics.settings
    rate = settings.api_rate_limit
    limiter = RateLimiter(rate.count, seconds(rate.period)) if rate else None
    health = Health(basics.store, _metrics_renderer(basics, running), basics.clock)
    request_log = RequestLog(basics.store, basics.clock, basics.ids)
    parts = {SMTP: running.listener, DELIVERY: running.scheduler, WEBHOOKS: running.dispatcher}
    status = StatusBook(basics.store, basics.clock, [slug for slug, part in parts.items() if part is not None])
    running.daemons += [request_log.run, status.run]
    recorder = Recorder(basics.store, clock=basics.clock, ids=basics.ids)
    running.figures["tracking"] = recorder.statistics
    running.daemons.append(recorder.run)
    answers = Answers(shared.budget.showing, shared.budget.page_files, shared.budget.turns, settings.data_dir)
    pages = routes(
        TrackingDependencies(
            store=basics.store,
            recorder=recorder,
            clock=basics.clock,
            secret=shared.secret,
            answers=answers,
            fence=basics.fences.previews,
        )
    )
    running.stops += [request_log.stop, recorder.flush]
    app = create_app(
        ApiDependencies(
            store=basics.store,
            accounts=AccountOffice(basics.store),
            domains=basics.domains,
            keys=basics.keys,
            lists=basics.lists,
            scheduled_reports=basics.scheduled_reports,
            webhooks=basics.webhooks,
            gate=Gate(shared.directory, basics.clock, limiter, basics.mail_log),
            health=health,
            clock=basics.clock,
            rand=basics.rand,
            request_log=request_log,
            latency=LatencyBook(basics.clock),
            status=status,
            hostname=settings.hostname,
            smtp_port=settings.smtp_public_port or smtp_port,
            allow_private_networks=settings.allow_private_networks,
            intake=intake_of(basics, running, shared),
            templates=basics.templates,
            fences=basics.fences,
            ids=basics.ids,
            max_size=settings.max_message_size,
            personaliser=shared.personaliser,
            public_url=shared.public_url,
            secret=shared.secret,
            budget=shared.budget,
            scratch_dir=settings.data_dir,
        ),
        pages,
    )
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = ConnectionLimits(max_connections=min(MAX_CONNECTIONS, descriptors // DESCRIPTOR_SHARE), trusted=settings.trusted_proxies)
    requests = RequestLimits(app)
    running.figures |= {"http": connections.statistics, "http_door": requests.statistics}
    config = uvicorn.Config(
        requests,
        http=limited(connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=HTTP_DRAIN_TIMEOUT,
    )
    config.load()
    running.http, running.health, running.http_limits = uvicorn.Server(config), health, connections
    if settings.http_tls:
        running.http_tls = server_context(settings.cert_path, settings.key_path)


def _metrics_renderer(basics: Basics, running: Running) -> Callable[[], Awaitable[bytes]]:
    gauges: dict[str, Any] = {}

    async def render() -> bytes:
        values = flatten("store", basics.store.statistics())
        for prefix, statistics in running.figures.items():
            values |= flatten(prefix, statistics())
        values |= {f"sendryd_queue_{state.value}": float(count) for state, count in (await basics.store.count_queue()).items()}
        for name, value in values.items():
            if name not in gauges:
                gauges[name] = basics.metrics.gauge(name, name.replace("_", " "))
            gauges[name].set(value)
        return basics.metrics.render()

    return render


def start_webhooks(basics: Basics, running: Running) -> None:
    """What tells webhooks what they are owed."""
    from sendryd.notify.dispatcher import Dispatcher
    from sendryd.runtime.posting import ClosableClient, LateClient
    from sendryd.runtime.tls import client_context
    from sendryd.runtime.wakeup import Wakeup

    settings = basics.settings

    def load() -> Callable[[], ClosableClient]:
        from sendryd.runtime.http import AiohttpClient, look_up_in_system

        return partial(
            AiohttpClient,
            basics.resolver,
            basics.clock,
            allow_private=settings.allow_private_networks,
            system_lookup=None if settings.dns_resolver else look_up_in_system,
            tls=client_context(verify=True),
        )

    client = LateClient(load)
    dispatcher = Dispatcher(
        basics.store,
        client,
        delays=settings.webhook_retry_schedule,
        scheme=settings.webhook_signature,
        owner=basics.owner,
        clock=basics.clock,
        rand=basics.rand,
        wakeup=Wakeup(),
    )
    running.dispatcher = dispatcher
    running.figures["webhooks"] = dispatcher.statistics
    running.daemons.append(dispatcher.run)

    async def stop() -> None:
        await dispatcher.stop()
        await client.aclose()

    running.stops.append(stop)


def start_upkeep(basics: Basics, running: Running, shared: Shared, last_seen: datetime | None) -> None:
    """What is done now and then. `last_seen` is when the program last ran."""
    from sendryd.upkeep.captures import CaptureKeeper
    from sendryd.upkeep.domains import DomainKeeper
    from sendryd.upkeep.endings import EndingsFollower
    from sendryd.upkeep.queue import QueueKeeper
    from sendryd.upkeep.reports import ReportKeeper
    from sendryd.upkeep.retention import Retention

    settings = basics.settings
    queue = QueueKeeper(basics.store, plan=basics.retry_plan, clock=basics.clock, ids=basics.ids, wakeup=basics.wakeup)
    retention = Retention(basics.store, messages=settings.message_retention, events=settings.event_retention, clock=basics.clock)
    captures = CaptureKeeper(basics.store, clock=basics.clock, ids=basics.ids, mail_log=basics.mail_log)
    domains = DomainKeeper(basics.store, basics.domains, clock=basics.clock, rand=basics.rand)
    reports = ReportKeeper(basics.store, intake_of(basics, running, shared), clock=basics.clock, rand=basics.rand)
    endings = EndingsFollower(basics.store, clock=basics.clock, mail_log=basics.mail_log, last_seen=last_seen)
    running.daemons += [queue.run, retention.run, domains.run, captures.run, reports.run, endings.run]
