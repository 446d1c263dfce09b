"""The role `smtp`: the listeners of submission and of port 25."""

from functools import partial
from typing import Final

from sendryd.app.build import Basics
from sendryd.app.roles.running import Running, Shared, Sockets, intake_of
from sendryd.inbound.addresses import Addresses
from sendryd.inbound.authentication import Authenticator
from sendryd.inbound.context import InboundContext
from sendryd.inbound.listener import InboundListener
from sendryd.inbound.receiver import Receiver
from sendryd.inbound.sharing import ContentShares, MessageRates
from sendryd.policy.penalty import FailureLog
from sendryd.runtime.tls import ServerCertificate
from sendryd.smtp.server import ServerLimits
from sendryd.submission.blocklist import Blocklist
from sendryd.submission.context import SessionContext
from sendryd.submission.listener import ConnectionLimits, Listener
from sendryd.submission.refusals import RefusalBook, RefusalWriter

MAX_INBOUND_RECIPIENTS: Final = 100  # of one transaction at port 25: the least of RFC 5321 §4.5.3.1.8


async def start_smtp(basics: Basics, running: Running, shared: Shared, certificate: ServerCertificate, sockets: Sockets) -> None:
    """The submission listeners."""
    settings = basics.settings
    refusals = RefusalBook(basics.clock, basics.ids)
    blocklist = Blocklist(basics.store, basics.clock)
    await blocklist.refresh()
    writer = RefusalWriter(refusals, basics.store, basics.clock)
    running.daemons.append(writer.run)
    running.stops.append(writer.stop)
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
        refusals=refusals,
        blocklist=blocklist,
        sessions=shared.smtp_sessions,
        clock=basics.clock,
    )
    limits = ConnectionLimits(
        total=settings.smtp_max_connections,
        per_address=settings.smtp_max_connections_per_address,
        unauthenticated_per_address=settings.smtp_max_connections_unauthenticated_per_address,
    )
    listener = Listener(context, limits)
    running.daemons.append(partial(blocklist.run, listener.end_blocked))
    shared.smtp_sessions.is_listening = True
    for sock in sockets.smtp:
        await listener.listen(sock)
    for sock in sockets.smtps:
        await listener.listen(sock, is_implicit_tls=True)
    running.listener = listener
    running.statistics |= {"submission": listener.statistics, "content": shared.budget.statistics}
    running.stops.insert(0, listener.aclose)


async def start_inbound(basics: Basics, running: Running, shared: Shared, certificate: ServerCertificate, sockets: Sockets) -> None:
    """The listeners of port 25, if there are any."""
    if not sockets.inbound:
        return
    settings = basics.settings
    receiver = Receiver(
        basics.store,
        basics.fences.inbound,
        Authenticator(basics.resolver, settings.hostname, basics.clock),
        shared.return_secret,
        clock=basics.clock,
        ids=basics.ids,
        mail_log=basics.mail_log,
    )
    context = InboundContext(
        hostname=settings.hostname,
        limits=ServerLimits(max_message_size=settings.max_message_size, max_recipients=MAX_INBOUND_RECIPIENTS),
        certificate=certificate,
        addresses=Addresses(basics.store, shared.return_secret, settings.bounce_domain),
        receiver=receiver,
        shares=ContentShares(),
        rates=MessageRates(),
        metrics=basics.metrics,
        mail_log=basics.mail_log,
        clock=basics.clock,
    )
    listener = running.inbound = InboundListener(context)
    for sock in sockets.inbound:
        await listener.listen(sock)
    running.statistics |= {"inbound": listener.statistics}
    running.stops.insert(0, listener.aclose)
