"""How a process becomes one of the nodes on a database, and how it hands over."""

import asyncio
from typing import Final

from sendryd.app.build import Basics
from sendryd.app.cluster import COPIED
from sendryd.app.roles.running import Role, Running
from sendryd.app.settings import PREFIX
from sendryd.runtime.log import get_logger
from sendryd.store.base.nodes import NameTaken, PlaceTaken

DRAIN_TIMEOUT: Final = 12.0  # seconds for what is under way: a node that drains owns nothing within 20

log = get_logger("nodes")


class AlreadyRunning(Exception):
    """Another `serve` works on this data directory, or another node has this name."""


async def join(basics: Basics, running: Running, roles: frozenset[Role]) -> None:
    """Becomes a node, which hands over when it is asked to. Raises `AlreadyRunning`, `StoreError`."""
    try:
        await basics.cluster.join(tuple(sorted(roles)))
    except NameTaken as error:
        raise AlreadyRunning(f"another node called {error} is alive: set {PREFIX}NODE_NAME to another name") from None
    except PlaceTaken:
        raise AlreadyRunning(COPIED) from None
    basics.cluster.watch_drain(lambda: _drain(running))


async def _drain(running: Running) -> None:
    """Ends what is under way. Only /healthz and what people look at go on."""
    if running.health:
        running.health.is_stopping = True
    if running.listener:
        running.listener.drain()
    if running.inbound:
        running.inbound.drain()
    parts = [part.stop(DRAIN_TIMEOUT) for part in (running.scheduler, running.dispatcher) if part is not None]
    for fault in filter(None, await asyncio.gather(*parts, return_exceptions=True)):
        log.error("drain_failed", error=repr(fault))
    log.info("drained")
