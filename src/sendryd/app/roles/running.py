"""What the roles of one process share, and what they have started."""

import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from sendryd.accounts.smtp_sessions import SmtpSessions
from sendryd.app.build import Basics
from sendryd.app.daemons import Daemon
from sendryd.intake.directory import Directory
from sendryd.intake.personal import Personaliser
from sendryd.model.ids import AccountId
from sendryd.runtime.budget import ContentBudget
from sendryd.runtime.posting import ClosableClient, LateClient
from sendryd.runtime.tls import client_context

if TYPE_CHECKING:
    import uvicorn

    from sendryd.accounts.attention import Attention
    from sendryd.accounts.invitations import Invitations
    from sendryd.api.framework.limits import ConnectionLimits as HttpConnectionLimits
    from sendryd.api.health import Health
    from sendryd.delivery.scheduler import Scheduler
    from sendryd.health import Watch
    from sendryd.inbound.listener import InboundListener
    from sendryd.intake.accept import Intake
    from sendryd.notify.dispatcher import Dispatcher
    from sendryd.submission.listener import Listener


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
    smtp_sessions: SmtpSessions
    return_secret: bytes  # what our own return paths are signed with
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
    inbound: "InboundListener | None" = None
    http: "uvicorn.Server | None" = None
    http_limits: "HttpConnectionLimits | None" = None
    http_tls: ssl.SSLContext | None = None
    health: "Health | None" = None
    intake: "Intake | None" = None
    dispatcher: "Dispatcher | None" = None
    watch: "Watch | None" = None
    statistics: dict[str, Callable[[], Mapping[str, float]]] = field(default_factory=dict)  # for /metrics, by the first part of their names
    stops: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sockets:
    """What was bound."""

    smtp: tuple[socket.socket, ...] = ()
    smtps: tuple[socket.socket, ...] = ()
    inbound: tuple[socket.socket, ...] = ()
    http: socket.socket | None = None


def intake_of(basics: Basics, running: Running, shared: Shared) -> "Intake":
    """The single door of this process."""
    from sendryd.intake.accept import Intake, IntakeSettings

    if running.intake is None:
        settings = basics.settings
        running.statistics["fence"] = basics.fences.statistics
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
            quotas=basics.cluster.quotas(settings, basics.clock),
        )
    return running.intake


def inbound_address_of(basics: Basics, shared: Shared) -> Callable[[AccountId], str | None]:
    """The address at which each account receives mail; None where port 25 is not open, or there is no domain for it."""
    from sendryd.policy.returnpath import make_inbound_address

    settings = basics.settings
    if not settings.inbound_listen or not settings.bounce_domain:
        return lambda _account_id: None
    return lambda account_id: make_inbound_address(shared.return_secret, account_id, settings.bounce_domain)


def http_client(basics: Basics) -> LateClient:
    """A client for requests to other people's servers. Who makes it closes it."""
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
        )

    return LateClient(load)


def watch_of(basics: Basics, running: Running) -> "Watch":
    """The examination of this process."""
    from sendryd.app.health import make_doctor
    from sendryd.health import Watch
    from sendryd.policy.health import Finding

    if running.watch is None:

        async def examine(is_quick: bool) -> list[Finding]:
            return await make_doctor(basics.settings, basics, exists=True, fault="").examine(is_quick=is_quick)

        running.watch = Watch(examine, basics.store, basics.clock)
    return running.watch


def attention_of(basics: Basics) -> "Attention":
    """What finds out what needs people."""
    from sendryd.accounts.attention import Attention

    settings = basics.settings
    return Attention(basics.store, queue_lifetime=settings.max_queue_age, is_private=settings.allow_private_networks)


def invitations_of(basics: Basics, running: Running, shared: Shared) -> "Invitations":
    """Inviting people, with mail through the door of this process."""
    from sendryd.accounts.invitations import Invitations
    from sendryd.intake.notices import Notice, Notices

    notices = Notices(basics.store, intake_of(basics, running, shared), rand=basics.rand)

    async def post(account_id: AccountId, to: str, subject: str, text: str) -> bool:
        return await notices.send(account_id, Notice(author="sendryd", to=to, subject=subject, text=text))

    return Invitations(basics.people, post, public_url=shared.public_url)
