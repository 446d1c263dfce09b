"""The role `http`: the REST API, the pages that recipients reach, health and metrics."""

import resource
from collections.abc import Awaitable, Callable
from typing import Final

import uvicorn
from prometheus_client import Gauge

from sendryd.accounts.account import Accounts
from sendryd.api.app import ApiDependencies, create_app
from sendryd.api.framework.connection import limited
from sendryd.api.framework.latency import LatencyBook
from sendryd.api.framework.limits import DESCRIPTOR_SHARE, KEEP_ALIVE, MAX_CONNECTIONS, ConnectionLimits, RequestLimits
from sendryd.api.framework.requestlog import RequestLog
from sendryd.api.framework.requests import Gate
from sendryd.api.health import Health
from sendryd.api.system.uptime import DELIVERY, SMTP, WEBHOOKS, StatusBook
from sendryd.app.build import Basics, flatten
from sendryd.app.roles.dashboard import dashboard_routes
from sendryd.app.roles.running import Running, Shared, inbound_address_of, intake_of, invitations_of
from sendryd.runtime.answers import Answers
from sendryd.runtime.tls import server_context
from sendryd.tracking.app import TrackingDependencies, routes
from sendryd.tracking.recorder import Recorder

DRAIN_TIMEOUT: Final = 5  # seconds for answers under way when the program stops; all requests are short


def start_http(basics: Basics, running: Running, shared: Shared, smtp_port: int) -> None:
    """Makes the application and its server; who listens starts it."""
    settings = basics.settings
    recorder = Recorder(basics.store, clock=basics.clock, ids=basics.ids)
    running.statistics["tracking"] = recorder.statistics
    needs = _dependencies(basics, running, shared, smtp_port)
    running.daemons += [needs.request_log.run, needs.status.run, recorder.run]
    running.stops += [needs.request_log.stop, recorder.flush]
    pages = TrackingDependencies(
        store=basics.store,
        recorder=recorder,
        clock=basics.clock,
        secret=shared.secret,
        public_url=shared.public_url,
        answers=Answers(shared.budget.showing, shared.budget.page_files, shared.budget.turns, settings.data_dir),
        fence=basics.fences.previews,
    )
    requests = RequestLimits(create_app(needs, [*routes(pages), *dashboard_routes(basics, running, shared, smtp_port)]))
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = ConnectionLimits(max_connections=min(MAX_CONNECTIONS, descriptors // DESCRIPTOR_SHARE), trusted=settings.trusted_proxies)
    running.statistics |= {"http": connections.statistics, "http_door": requests.statistics}
    running.http, running.health, running.http_limits = _server(requests, connections, settings.trusted_proxies), needs.health, connections
    if settings.http_tls:
        running.http_tls = server_context(settings.cert_path, settings.key_path)


def _dependencies(basics: Basics, running: Running, shared: Shared, smtp_port: int) -> ApiDependencies:
    settings = basics.settings
    parts = {SMTP: running.listener, DELIVERY: running.scheduler, WEBHOOKS: running.dispatcher}
    return ApiDependencies(
        store=basics.store,
        accounts=Accounts(basics.store),
        domains=basics.domains,
        keys=basics.keys,
        lists=basics.lists,
        people=basics.people,
        invitations=invitations_of(basics, running, shared),
        scheduled_reports=basics.scheduled_reports,
        webhooks=basics.webhooks,
        gate=Gate(shared.directory, basics.clock, basics.cluster.rate_limits(settings), basics.mail_log),
        health=Health(basics.store, _metrics_renderer(basics, running), basics.clock),
        clock=basics.clock,
        rand=basics.rand,
        request_log=RequestLog(basics.store, basics.clock, basics.ids),
        latency=LatencyBook(basics.clock),
        status=StatusBook(basics.store, basics.clock, [slug for slug, part in parts.items() if part is not None]),
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
        inbound_address=inbound_address_of(basics, shared),
        scratch_dir=settings.data_dir,
    )


def _server(requests: RequestLimits, connections: ConnectionLimits, proxies: tuple[str, ...]) -> uvicorn.Server:
    config = uvicorn.Config(
        requests,
        http=limited(connections),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=DRAIN_TIMEOUT,
    )
    config.load()
    return uvicorn.Server(config)


def _metrics_renderer(basics: Basics, running: Running) -> Callable[[], Awaitable[bytes]]:
    gauges: dict[str, Gauge] = {}

    async def render() -> bytes:
        values = flatten("store", basics.store.statistics())
        for prefix, statistics in running.statistics.items():
            values |= flatten(prefix, statistics())
        values |= {f"sendryd_queue_{state.value}": float(count) for state, count in (await basics.store.count_queue()).items()}
        for name, value in values.items():
            if name not in gauges:
                gauges[name] = basics.metrics.gauge(name, name.replace("_", " "))
            gauges[name].set(value)
        return basics.metrics.render()

    return render
