"""The role `webhooks`: tells webhooks what they are owed."""

from collections.abc import Callable
from functools import partial

from sendryd.app.build import Basics
from sendryd.app.roles.running import Running
from sendryd.notify.dispatcher import Dispatcher
from sendryd.runtime.posting import ClosableClient, LateClient
from sendryd.runtime.tls import client_context


def start_webhooks(basics: Basics, running: Running) -> None:
    """What tells webhooks what they are owed."""
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
        owner=basics.cluster.owner,
        clock=basics.clock,
        rand=basics.rand,
        wakeup=basics.cluster.doorbell(),
    )
    running.dispatcher = dispatcher
    running.statistics["webhooks"] = dispatcher.statistics
    running.daemons.append(dispatcher.run)

    async def stop() -> None:
        await dispatcher.stop()
        await client.aclose()

    running.stops.append(stop)
