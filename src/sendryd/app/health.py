"""The examination of the configured installation, for the command line and the dashboard."""

import fcntl
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sendryd.app.build import Basics, build_basics, find_name_server
from sendryd.app.cluster import PLACE_NAME
from sendryd.app.database import target_of
from sendryd.app.settings import Settings
from sendryd.app.values import is_loopback
from sendryd.health import Doctor, Installation
from sendryd.health.stored import StoredState
from sendryd.policy.health import Finding
from sendryd.policy.health.server import ServerState
from sendryd.policy.routing import Security
from sendryd.runtime.clock import SystemClock
from sendryd.runtime.resolver import Resolver
from sendryd.store.drivers.sqlite import FILE_NAME
from sendryd.store.errors import StoreError

if TYPE_CHECKING:
    from sendryd.store.drivers.postgres import Target


async def examine(settings: Settings) -> list[Finding]:
    """Every finding, worst first. A database that cannot be opened is one of them. Raises `SettingsError`."""
    has_server = bool(settings.database_url)
    exists = (settings.data_dir / (PLACE_NAME if has_server else FILE_NAME)).exists()
    basics, fault = None, ""
    if exists or has_server:
        try:
            basics = await build_basics(settings)
        except (StoreError, OSError) as error:
            fault = str(error) or type(error).__name__
    try:
        return await make_doctor(settings, basics, exists=exists, fault=fault).examine()
    finally:
        if basics is not None:
            with suppress(StoreError):
                await basics.store.aclose()


def make_doctor(settings: Settings, basics: Basics | None, *, exists: bool, fault: str) -> Doctor:
    """`basics`: None if there is no database, or it cannot be opened for the reason `fault`."""
    target, smart_host = target_of(settings), settings.smarthost
    installation = Installation(
        data_dir=settings.data_dir,
        exists=exists,
        database_fault=fault,
        is_running=is_served(settings.data_dir),
        hostname=settings.hostname,
        resolver=str(settings.dns_resolver or ""),
        allow_private_networks=settings.allow_private_networks,
        mx_port=settings.mx_port,
        smart_host=(smart_host.host, smart_host.port) if smart_host else None,
        smart_host_is_encrypted=smart_host is not None and smart_host.security is Security.IMPLICIT_TLS,
        certificate=settings.cert_path,
        has_own_certificate=settings.tls_cert is None,
        http_listen=str(settings.http_listen),
        http_is_encrypted=settings.http_tls,
        http_is_loopback=is_loopback(settings.http_listen.host),
        smtp_is_loopback=all(is_loopback(each.host) for each in settings.smtp_listen),
        public_url=settings.public_url,
        block_lists=settings.block_lists,
        bounce_domain=settings.bounce_domain,
        is_inbound_open=bool(settings.inbound_listen),
        spf_include=settings.spf_include,
        pools=basics.pools if basics is not None else settings.egress,
    )
    if basics is None:
        clock = SystemClock()
        name_server = find_name_server(settings.dns_resolver) if settings.dns_resolver else None
        return Doctor(installation, clock=clock, resolver=Resolver(clock, name_server), stored=None, server=_look_at(target))
    stored = StoredState(basics.store, basics.domains.verify, basics.clock)
    return Doctor(installation, clock=basics.clock, resolver=basics.resolver, stored=stored, server=_look_at(target))


def _look_at(target: "Target | None") -> Callable[[], Awaitable[ServerState]] | None:
    if target is None:
        return None
    from sendryd.store.postgres.observing import observe_server

    return partial(observe_server, target, SystemClock().now)


def is_served(data_dir: Path) -> bool | None:
    """Whether a `serve` holds the lock of the data directory; None if that cannot be found out."""
    try:
        descriptor = os.open(data_dir / "serve.lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
