"""The role `upkeep`: what is done now and then."""

from datetime import datetime

from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.app.roles.running import Running, Shared, attention_of, http_client, intake_of, watch_of
from sendryd.dashboard.matching import MailFinder
from sendryd.intake.notices import Notices
from sendryd.upkeep.alerts import AlertKeeper
from sendryd.upkeep.bulk import BulkKeeper
from sendryd.upkeep.captures import CaptureKeeper
from sendryd.upkeep.domains import DomainKeeper
from sendryd.upkeep.endings import EndingsFollower
from sendryd.upkeep.follower import Follower
from sendryd.upkeep.health import HealthKeeper
from sendryd.upkeep.queue import QueueKeeper
from sendryd.upkeep.reports import ReportKeeper
from sendryd.upkeep.retention import Retention
from sendryd.upkeep.statusreports import StatusReporter
from sendryd.upkeep.tls_reports import TlsReportKeeper


def start_upkeep(basics: Basics, running: Running, shared: Shared, last_seen: datetime | None) -> None:
    """What is done now and then. `last_seen` is when the program last ran."""
    settings = basics.settings
    queue = QueueKeeper(basics.store, plan=basics.retry_plan, clock=basics.clock, ids=basics.ids, wakeup=basics.wakeup)
    retention = Retention(basics.store, messages=settings.message_retention, events=settings.event_retention, clock=basics.clock)
    captures = CaptureKeeper(basics.store, clock=basics.clock, ids=basics.ids, mail_log=basics.mail_log)
    domains = DomainKeeper(basics.store, basics.domains, clock=basics.clock, rand=basics.rand)
    reports = ReportKeeper(basics.store, intake_of(basics, running, shared), clock=basics.clock, rand=basics.rand)
    endings = EndingsFollower(basics.store, clock=basics.clock, mail_log=basics.mail_log, last_seen=last_seen)
    follower = Follower(basics.store, clock=basics.clock)
    health = HealthKeeper(watch_of(basics, running), clock=basics.clock)
    client = http_client(basics)
    alerts = AlertKeeper(
        basics.store,
        attention_of(basics),
        Notices(basics.store, intake_of(basics, running, shared), rand=basics.rand),
        client,
        account_id=DEFAULT_ACCOUNT,
        public_url=shared.public_url,
        clock=basics.clock,
    )
    running.stops.append(client.aclose)
    by_one = basics.cluster.by_one
    duties = (health.run, alerts.run, queue.run, retention.run, domains.run, captures.run, reports.run, endings.run)
    running.daemons += [follower.run] if basics.number == 1 else []  # one process of a machine writes the derived file
    running.daemons += map(by_one, duties)
    status_reports = StatusReporter(
        basics.store,
        intake_of(basics, running, shared),
        hostname=settings.hostname,
        lifetime=settings.max_queue_age,
        clock=basics.clock,
        rand=basics.rand,
    )
    running.daemons.append(by_one(status_reports.run))
    bulk = BulkKeeper(basics.store, MailFinder(basics.store), basics.audit, clock=basics.clock, ids=basics.ids)
    running.daemons.append(by_one(bulk.run))
    if settings.tls_reports:
        tls_reports = TlsReportKeeper(
            basics.store,
            intake_of(basics, running, shared),
            basics.resolver,
            client,
            account_id=DEFAULT_ACCOUNT,
            hostname=settings.hostname,
            clock=basics.clock,
            rand=basics.rand,
        )
        running.daemons.append(by_one(tls_reports.run))
