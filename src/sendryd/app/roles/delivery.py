"""The role `delivery`: the delivery engine."""

from collections.abc import Awaitable, Callable
from functools import cache, partial

from sendryd.app.build import Basics
from sendryd.app.cluster import DELIVERY
from sendryd.app.roles.running import Running, Shared
from sendryd.app.values import EVERY_ADDRESS
from sendryd.delivery.contents import Contents
from sendryd.delivery.dane_lookup import DaneLookup
from sendryd.delivery.destinations import Destinations
from sendryd.delivery.dialoguewriter import DialogueWriter
from sendryd.delivery.egress import Egress
from sendryd.delivery.housekeeping import keep_house, watch_stalls
from sendryd.delivery.laneboard import LanePublisher
from sendryd.delivery.pool import ConnectionPool
from sendryd.delivery.returnpaths import ReturnPaths
from sendryd.delivery.rulefile import RuleKeeper, load_rules
from sendryd.delivery.scheduler import Scheduler
from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.shapingkeeper import ShapingKeeper
from sendryd.delivery.signer import Signer
from sendryd.delivery.sites import Sites
from sendryd.delivery.sts_policies import FETCH_TIMEOUT, StsPolicies
from sendryd.delivery.tls_keeper import TlsKeeper
from sendryd.delivery.tls_results import TlsResults
from sendryd.delivery.transcript import Tracer
from sendryd.delivery.transport import Connection
from sendryd.delivery.unknownreplies import UnknownReplies
from sendryd.delivery.worker import Worker, WorkerContext, WorkerSettings
from sendryd.runtime.posting import ClosableClient, LateClient
from sendryd.runtime.tls import client_context, weak_client_context
from sendryd.smtp.timeouts import CLIENT_TIMEOUTS


async def start_delivery(basics: Basics, running: Running, shared: Shared) -> None:
    """Starts the scheduler, its workers, and what they keep."""
    pool: ConnectionPool[Connection] = ConnectionPool(basics.clock)
    signer = Signer(basics.store, basics.clock)
    policies, end_fetching = _sts_policies(basics)
    await policies.load()
    destinations = _destinations(basics, policies)
    tracer = Tracer(basics.store, basics.clock)
    results = TlsResults(basics.store, basics.clock) if basics.settings.tls_reports else None
    unknown = UnknownReplies(basics.store, basics.clock)
    egress = await _start_egress(basics, running)
    rules = load_rules(basics.settings.shaping_file)
    shaper = Shaper(Sites(rules.rules), basics.clock)
    worker = _worker(basics, shared, destinations, pool, signer, tracer, results, unknown, egress, shaper)
    tls_keeper = TlsKeeper(basics.store, worker.tls_memory, basics.clock)
    await tls_keeper.load()
    scheduler = _scheduler(basics, shared, worker, destinations, shaper)
    shaping = ShapingKeeper(basics.store, shaper, basics.clock, scheduler.relax)
    await shaping.load()
    running.scheduler = scheduler
    running.statistics |= {"delivery": scheduler.statistics, "connections": pool.statistics, "sts_policies": policies.statistics}
    running.statistics |= {"dns": basics.resolver.statistics, "domains": basics.denials.statistics}
    running.daemons += [
        scheduler.run,
        *(partial(each, scheduler, basics.clock) for each in (keep_house, watch_stalls)),
        pool.run,
        tracer.run,
        tls_keeper.run,
        policies.run,
    ]
    running.daemons += [unknown.run, RuleKeeper(rules, scheduler.use_rules, basics.clock).run, shaping.run]
    running.daemons += [results.run] if results is not None else []
    publisher, end_reports = await _start_reports(basics, running, scheduler)
    basics.cluster.attend(scheduler, pool, partial(_exchange, publisher, tls_keeper, policies, egress))

    async def stop() -> None:
        await scheduler.stop()
        await end_reports()
        await end_fetching()
        await tls_keeper.store()
        await shaping.store()
        await unknown.store()
        await egress.warm_up.store()
        if results is not None:
            await results.store()
        await pool.aclose()
        signer.close()

    running.stops.append(stop)


async def _exchange(
    publisher: LanePublisher, tls_keeper: TlsKeeper, policies: StsPolicies, egress: Egress, is_gained: Callable[[str], bool]
) -> None:
    """Between owners of sites: stores what is known of them, and reads what others have stored."""
    await publisher.publish()
    await publisher.take_over(is_gained)
    await tls_keeper.store()
    await tls_keeper.load()
    await policies.load()
    await egress.exchange()


def _scheduler(basics: Basics, shared: Shared, worker: Worker, destinations: Destinations, shaper: Shaper) -> Scheduler:
    return Scheduler(
        basics.store,
        worker,
        destinations,
        plan=basics.retry_plan,
        owner=basics.cluster.owner,
        clock=basics.clock,
        rand=basics.rand,
        wakeup=basics.cluster.doorbell_here(DELIVERY),
        has_smart_host=basics.settings.smarthost is not None,
        memory=shared.budget.handed_over,
        shaper=shaper,
        ownership=basics.cluster.ownership,
    )


async def _start_egress(basics: Basics, running: Running) -> Egress:
    """The addresses that mail leaves from."""
    egress = Egress(basics.pools, basics.store, basics.clock)
    await egress.load()
    running.statistics["egress"] = egress.statistics
    running.daemons += [egress.run]
    return egress


async def _start_reports(basics: Basics, running: Running, scheduler: Scheduler) -> tuple[LanePublisher, Callable[[], Awaitable[None]]]:
    """What people see of delivery: lanes and dialogues. Returns what writes lanes, and what writes the last of all."""
    publisher, writer = LanePublisher(scheduler.board, basics.store, basics.clock), DialogueWriter(basics.dialogues, basics.clock)
    ownership = basics.cluster.ownership
    await publisher.take_over(ownership.owns if ownership is not None else lambda _site: True)
    running.daemons += [publisher.run, writer.run]

    async def end() -> None:
        await publisher.publish()
        await basics.dialogues.write_dialogues()

    return publisher, end


def _sts_policies(basics: Basics) -> tuple[StsPolicies, Callable[[], Awaitable[None]]]:
    """The policies, and what ends their fetches."""
    settings = basics.settings

    def load() -> Callable[[], ClosableClient]:
        from sendryd.runtime.http import AiohttpClient, look_up_in_system

        return partial(
            AiohttpClient,
            basics.resolver,
            basics.clock,
            allow_private=settings.allow_private_networks,
            system_lookup=None if settings.dns_resolver else look_up_in_system,
            tls=client_context(verify=True, ca_file=settings.ca_file),
            total_timeout=FETCH_TIMEOUT,
        )

    client = LateClient(load)
    policies = StsPolicies(basics.resolver, client, basics.store, basics.clock, port=settings.mta_sts_port)

    async def end() -> None:
        await policies.aclose()
        await client.aclose()

    return policies, end


def _destinations(basics: Basics, policies: StsPolicies) -> Destinations:
    settings = basics.settings
    listened = [each.host for each in (*settings.smtp_listen, *settings.smtps_listen) if each.port == settings.mx_port]
    return Destinations(
        basics.resolver,
        basics.denials,
        hostname=settings.hostname,
        mx_port=settings.mx_port,
        smart_host=settings.smarthost,
        plan=basics.retry_plan,
        clock=basics.clock,
        rand=basics.rand,
        policies=policies,
        dane=DaneLookup(basics.resolver, port=settings.mx_port) if basics.trusts_ad else None,
        own_addresses=frozenset(listened) - EVERY_ADDRESS,
        is_host_own=not EVERY_ADDRESS.isdisjoint(listened),
    )


def _worker(
    basics: Basics,
    shared: Shared,
    destinations: Destinations,
    pool: ConnectionPool[Connection],
    signer: Signer,
    tracer: Tracer,
    results: TlsResults | None,
    unknown: UnknownReplies,
    egress: Egress,
    shaper: Shaper,
) -> Worker:
    settings = basics.settings
    return Worker(
        WorkerContext(
            store=basics.store,
            contents=Contents(basics.store, shared.personaliser, signer, shared.budget, settings.data_dir),
            destinations=destinations,
            pool=pool,
            contexts=TlsContexts(
                verified=cache(partial(client_context, verify=True, ca_file=settings.ca_file)),
                unverified=client_context(verify=False),
                weak=weak_client_context(),
            ),
            signer=signer,
            clock=basics.clock,
            rand=basics.rand,
            ids=basics.ids,
            mail_log=basics.mail_log,
            tracer=tracer,
            dialogues=basics.dialogues,
            egress=egress,
            tls_results=results,
            unknown=unknown,
            shaper=shaper,
        ),
        WorkerSettings(
            hostname=settings.hostname,
            allow_private_networks=settings.allow_private_networks,
            retry_plan=basics.retry_plan,
            timeouts=CLIENT_TIMEOUTS,
            return_paths=ReturnPaths(settings.bounce_domain, shared.return_secret),
        ),
    )
