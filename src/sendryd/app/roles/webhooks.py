"""The role `webhooks`: tells webhooks what they are owed."""

from sendryd.accounts.account import Accounts
from sendryd.app.build import Basics
from sendryd.app.cluster import WEBHOOKS
from sendryd.app.roles.running import Running, http_client
from sendryd.notify.dispatcher import Dispatcher
from sendryd.notify.forwarding import Forwarder


def start_webhooks(basics: Basics, running: Running) -> None:
    """What tells webhooks what they are owed."""
    settings, client = basics.settings, http_client(basics)
    dispatcher = Dispatcher(
        basics.store,
        client,
        delays=settings.webhook_retry_schedule,
        scheme=settings.webhook_signature,
        owner=basics.cluster.owner,
        clock=basics.clock,
        rand=basics.rand,
        wakeup=basics.cluster.doorbell_here(WEBHOOKS),
    )
    running.dispatcher = dispatcher
    running.statistics["webhooks"] = dispatcher.statistics
    forwarder = Forwarder(
        basics.store,
        Accounts(basics.store),
        client,
        delays=settings.webhook_retry_schedule,
        scheme=settings.webhook_signature,
        clock=basics.clock,
        rand=basics.rand,
    )
    running.daemons += [dispatcher.run, forwarder.run]

    async def stop() -> None:
        await dispatcher.stop()
        await client.aclose()

    running.stops.append(stop)
