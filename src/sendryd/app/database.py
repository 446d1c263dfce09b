"""The configured database: the embedded one, or a server's."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sendryd.app.settings import Settings
from sendryd.runtime.clock import Clock
from sendryd.store.base import Store

if TYPE_CHECKING:
    from sendryd.app.nodes import ClusterStore
    from sendryd.store.drivers.postgres import Target


def target_of(settings: Settings) -> "Target | None":
    """The server's database; None: it is the embedded one."""
    if not settings.database_url:
        return None
    from sendryd.store.drivers.postgres import Target

    parts = urlsplit(settings.database_url)
    hosts = parts.netloc.rpartition("@")[2] or "the local socket"
    return Target(settings.database_url, f"{hosts}/{unquote(parts.path.strip('/'))}")


async def open_configured_store(settings: Settings, clock: Clock, tell_unreadable: Callable[[str, str], None]) -> "Store | ClusterStore":
    """Opens it. Raises `StoreError`."""
    target = target_of(settings)
    if target is None:
        from sendryd.store.sqlite import open_store

        return open_store(settings.data_dir, monotonic=clock.monotonic, tell_unreadable=tell_unreadable)
    from sendryd.store.postgres.store import open_store as open_server

    return await open_server(
        target, settings.data_dir, monotonic=clock.monotonic, changes_monotonic=clock.monotonic, tell_unreadable=tell_unreadable
    )
