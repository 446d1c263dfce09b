"""Settings to objects. The only place that names a store backend.

What only some commands need is imported and made when it is first asked for: `keys list` waits for no DNS and no metrics to load.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from sendryd.app.cluster import DELIVERY, OneNode, machine_of, place_of
from sendryd.app.settings import PREFIX, Settings, SettingsError
from sendryd.app.values import Address, host_of_https
from sendryd.model.actor import System
from sendryd.model.ids import AccountId
from sendryd.policy.retry import RetryPlan
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.rand import SystemRand
from sendryd.store.base import DialogueStore, Owner, Store

if TYPE_CHECKING:
    from sendryd.accounts.api_keys import ApiKeys
    from sendryd.accounts.audit import Audit
    from sendryd.accounts.domains import Domains
    from sendryd.accounts.people import People
    from sendryd.accounts.scheduled_reports import ScheduledReports
    from sendryd.accounts.signin import SignIn
    from sendryd.accounts.suppressions import Suppressions
    from sendryd.accounts.templates import Templates
    from sendryd.accounts.webhooks import Webhooks
    from sendryd.delivery.denials import Denials
    from sendryd.policy.egress import PoolsInForce
    from sendryd.policy.inboundrecords import InboundSettings
    from sendryd.runtime.fence import Fences
    from sendryd.runtime.maillog import MailLog
    from sendryd.runtime.metrics import Metrics
    from sendryd.runtime.resolver import Resolver
    from sendryd.runtime.wakeup import Doorbell
    from sendryd.runtime.zoneservers import DnsZoneServers

DEFAULT_ACCOUNT: Final = AccountId(1)
OPERATOR: Final = System(DEFAULT_ACCOUNT)  # who uses the command line
DEFAULT_ACCOUNT_NAME: Final = "default"
# SQLite is served by one node. The name does not follow the machine's: a machine that was renamed must know its own leases.
LOCAL_NODE: Final = "local"

log = get_logger("store")


@dataclass(frozen=True)
class Basics:
    """What every command and every role needs."""

    settings: Settings
    number: int  # of this process among those of one `serve`: the first keeps what the machine has once
    store: Store
    cluster: OneNode
    clock: SystemClock
    rand: SystemRand
    ids: IdSource
    name_server: tuple[str, int] | None  # its IP address and port; None for the system's

    @cached_property
    def pools(self) -> "PoolsInForce":
        """The addresses that mail leaves from, as they are now: `SIGHUP` reads them again."""
        from sendryd.policy.egress import PoolsInForce

        return PoolsInForce(self.settings.egress)

    @cached_property
    def denials(self) -> "Denials":
        """Which domains have refused us for now."""
        from sendryd.delivery.denials import Denials

        return Denials(self.clock)

    @cached_property
    def resolver(self) -> "Resolver":
        """What looks up names."""
        from sendryd.runtime.resolver import Resolver

        return Resolver(self.clock, self.name_server, self.denials, trusts_ad=self.trusts_ad)

    @cached_property
    def trusts_ad(self) -> bool:
        """Whether the resolver's word that an answer is authenticated counts: only what crosses no network cannot be forged on the way."""
        from sendryd.app.values import is_loopback
        from sendryd.runtime.resolver import system_nameservers

        if self.settings.dns_trust_ad != "auto":
            return self.settings.dns_trust_ad == "true"
        servers = [self.name_server[0]] if self.name_server else system_nameservers()
        return bool(servers) and all(map(is_loopback, servers))

    @cached_property
    def wakeup(self) -> "Doorbell":
        """What tells delivery that there is work."""
        return self.cluster.doorbell(DELIVERY)

    @cached_property
    def metrics(self) -> "Metrics":
        """What is counted."""
        from sendryd.runtime.metrics import Metrics

        return Metrics()

    @cached_property
    def dialogues(self) -> "DialogueStore":
        """What was said in delivery attempts."""
        from sendryd.store.dialoguefiles import FOLDER, DialogueFiles

        return DialogueFiles(
            self.settings.data_dir / FOLDER,
            boot=self.rand.token(),
            now=self.clock.now,
            keep_failed=self.settings.event_retention,
            note_fault=lambda error: log.error("dialogues_not_written", error=error),
        )

    @cached_property
    def mail_log(self) -> "MailLog":
        """What writes a line for each message and each outcome."""
        from sendryd.runtime.maillog import MailLog

        return MailLog(self.clock)

    @cached_property
    def fences(self) -> "Fences":
        """Where parsers that are not ours run."""
        from sendryd.runtime.fence import Fences

        return Fences(self.clock)

    @property
    def keys(self) -> "ApiKeys":
        """What is done with keys."""
        from sendryd.accounts.api_keys import ApiKeys

        return ApiKeys(self.store, clock=self.clock, rand=self.rand, ids=self.ids, max_keys=self.settings.max_keys)

    @property
    def domains(self) -> "Domains":
        """What is done with sending domains."""
        from sendryd.accounts.domains import Domains
        from sendryd.policy.dnsrecords import RecordSettings
        from sendryd.policy.inboundrecords import DMARC_REPORTS, report_address

        settings = self.settings
        return Domains(
            self.store,
            self.resolver,
            RecordSettings(settings.hostname, settings.spf_include, report_address(DMARC_REPORTS, self.report_domain)),
            selector=settings.dkim_selector,
            clock=self.clock,
            ids=self.ids,
            max_domains=settings.max_domains,
            servers=self.zone_servers,
            pools=self.pools,
            inbound=self._inbound_settings if settings.inbound_listen else None,
        )

    @property
    def report_domain(self) -> str:
        """The domain at which reports of others are taken; empty: none are."""
        return self.settings.bounce_domain if self.settings.inbound_listen else ""

    def _inbound_settings(self) -> "InboundSettings":
        from sendryd.policy.inboundrecords import InboundSettings
        from sendryd.runtime.machine import certificate_tlsa

        settings = self.settings
        return InboundSettings(
            hostname=settings.hostname.lower(),
            web_host=host_of_https(settings.public_url),
            report_domain=self.report_domain,
            tlsa=certificate_tlsa(settings.cert_path),
        )

    @cached_property
    def zone_servers(self) -> "DnsZoneServers":
        """What asks the authoritative servers of domains."""
        from sendryd.runtime.zoneservers import DnsZoneServers

        return DnsZoneServers(self.resolver, self.clock, allow_private=self.settings.allow_private_networks)

    @property
    def lists(self) -> "Suppressions":
        """What is done with suppressions and unsubscribes."""
        from sendryd.accounts.suppressions import Suppressions

        return Suppressions(self.store, clock=self.clock, ids=self.ids)

    @property
    def scheduled_reports(self) -> "ScheduledReports":
        """Scheduling reports and removing them."""
        from sendryd.accounts.scheduled_reports import ScheduledReports

        return ScheduledReports(self.store, clock=self.clock, ids=self.ids)

    @property
    def webhooks(self) -> "Webhooks":
        """What is done with webhooks."""
        from sendryd.accounts.webhooks import Webhooks

        allow_private = self.settings.allow_private_networks
        return Webhooks(self.store, clock=self.clock, ids=self.ids, rand=self.rand, allow_private=allow_private)

    @property
    def audit(self) -> "Audit":
        """Entries of the audit."""
        from sendryd.accounts.audit import Audit

        return Audit(self.store, clock=self.clock, ids=self.ids)

    @cached_property
    def signin(self) -> "SignIn":
        """Sessions of the dashboard. One for the process: it counts failed sign-ins."""
        from sendryd.accounts.factors import Factors
        from sendryd.accounts.signin import SignIn
        from sendryd.runtime.passwords import Passwords

        factors = Factors(self.store, clock=self.clock, rand=self.rand, audit=self.audit)
        return SignIn(self.store, clock=self.clock, rand=self.rand, audit=self.audit, passwords=Passwords(), factors=factors)

    @property
    def people(self) -> "People":
        """People of the dashboard."""
        from sendryd.accounts.people import People

        return People(self.store, clock=self.clock, rand=self.rand, ids=self.ids, signin=self.signin, audit=self.audit)

    @property
    def templates(self) -> "Templates":
        """What is done with templates."""
        from sendryd.accounts.templates import Templates

        return Templates(self.store, clock=self.clock, ids=self.ids, fences=self.fences, max_templates=self.settings.max_templates)

    @property
    def retry_plan(self) -> RetryPlan:
        """When mail is tried again."""
        return RetryPlan(self.settings.retry_schedule, self.settings.max_queue_age)


async def build_basics(settings: Settings, number: int = 1) -> Basics:
    """Opens the store. `number` is that of the process among those of one `serve`.

    Raises `StoreError`, and `SettingsError` for a name server that is not known.
    """
    from sendryd.app.database import open_configured_store

    name_server = find_name_server(settings.dns_resolver) if settings.dns_resolver else None
    clock, rand = SystemClock(), SystemRand()
    store = await open_configured_store(settings, clock, _tell_unreadable)
    cluster = _cluster(settings, store, clock, Owner(node=_node_name(settings, number), boot=rand.token()), number)
    await cluster.follow_time()
    await store.ensure_account(DEFAULT_ACCOUNT, DEFAULT_ACCOUNT_NAME, clock.now())
    return Basics(
        settings=settings,
        number=number,
        store=store,
        cluster=cluster,
        clock=clock,
        rand=rand,
        ids=IdSource(clock, rand),
        name_server=name_server,
    )


def _node_name(settings: Settings, number: int) -> str:
    if not settings.database_url:
        return LOCAL_NODE
    return settings.node_name if number == 1 else f"{settings.node_name}-{number}"


def _cluster(settings: Settings, store: Store, clock: SystemClock, owner: Owner, number: int) -> OneNode:
    if not settings.database_url:
        return OneNode(store, owner)
    from sendryd.app.nodes import ClusterStore, ManyNodes

    place = f"{place_of(settings.data_dir)}-{number}"
    return ManyNodes(cast("ClusterStore", store), owner, clock, place, machine_of(settings.data_dir))


def _tell_unreadable(public_id: str, reason: str) -> None:
    log.error("row_unreadable", id=public_id, reason=reason, advice="repair the row, or restore the database from a backup")


def find_name_server(address: Address) -> tuple[str, int]:
    """The name server's IP address, which the resolver needs, and its port."""
    try:
        infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise SettingsError(f"{PREFIX}DNS_RESOLVER: {address.host} cannot be looked up: {error.strerror or error}") from None
    return str(infos[0][4][0]), address.port


def flatten(prefix: str, statistics: Mapping[str, float]) -> dict[str, float]:
    """Statistics of an object under its name, for /metrics."""
    return {f"sendryd_{prefix}_{name}": float(value) for name, value in statistics.items()}
