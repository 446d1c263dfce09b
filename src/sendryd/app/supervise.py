"""Runs the roles of one process: starts them in order, waits for signals, stops them in order."""

import asyncio
import fcntl
import gc
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from sendryd.accounts.smtp_sessions import SmtpSessions
from sendryd.app.build import Basics
from sendryd.app.daemons import Daemons
from sendryd.app.joining import AlreadyRunning, join
from sendryd.app.links import public_url
from sendryd.app.listen import PortTaken, bind, bound_address
from sendryd.app.roles.running import Role, Running, Shared, Sockets
from sendryd.app.settings import PREFIX, Settings, SettingsError, load_settings
from sendryd.app.spool import compare_spool, confirm_spool
from sendryd.app.values import Address, is_loopback
from sendryd.files import make_folder, sync_folder
from sendryd.intake.directory import Directory
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.policy.crashes import crash_reason, pause_after_crash
from sendryd.policy.returnpath import SECRET_LENGTH, SECRET_NAME
from sendryd.runtime.log import LogOutput, configure, get_logger
from sendryd.runtime.owncert import ensure_own_certificate
from sendryd.runtime.tls import ServerCertificate
from sendryd.store.base import SpoolReport
from sendryd.store.errors import StoreError

STOP_TIMEOUT: Final = 30.0  # seconds from the first signal to the end, whatever is under way
# What is made at the start is frozen; what a message makes is mostly freed without the collector. A collection stops everything: 10,000 new
# objects take it a few milliseconds, 50,000 tens.
GC_THRESHOLDS: Final = (10_000, 50, 50)

TOUCH_INTERVAL: Final = 30.0  # seconds between writes of when keys were last used
CERTIFICATE_INTERVAL: Final = 10.0  # seconds between looks at the certificate's files
CLOCK_INTERVAL: Final = 300.0  # seconds between notes of the settled time: a fraction of `settledtime.MAX_DOWNTIME`
LINK_KEY_NAME: Final = "links"  # the name under which the store keeps what the links in mail are signed with
LINK_KEY_LENGTH: Final = 43  # letters and digits: 256 bits
AT_RUN_TIME: Final = frozenset(
    {"log_format", "log_level", "egress"}
)  # settings that SIGHUP changes; of the certificate, the files' content
EXPIRY_NOTICE: Final = timedelta(days=14)  # automatic renewal happens well before; later means that it does not work
PUBLIC_URL_ADVICE: Final = (
    "links in mail would be read and changed on the way, and mail programs offer one-click unsubscribing over HTTPS alone:"
    " set SENDRYD_PUBLIC_URL to an https:// address"
)
HTTP_ADVICE: Final = "API keys would cross the network in clear text: set SENDRYD_HTTP_TLS, or listen on loopback behind a proxy with TLS"

log = get_logger("serve")


class DaemonFailed(Exception):
    """The store ended, without which nothing can be acknowledged; the rest was stopped in order."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Where it listens."""

    smtp: tuple[Address, ...]
    http: Address | None
    tls_cert: Path
    inbound: tuple[Address, ...] = ()


def lock_data_dir(data_dir: Path, number: int = 1) -> int:
    """Takes the lock that one `serve`, or its process of this number, holds; gives its descriptor, to be kept open. Raises `AlreadyRunning`.

    Also makes the names in the data directory durable, and its own: a start that was killed may have made them and not got so far.
    """
    make_folder(data_dir)
    sync_folder(data_dir.resolve().parent)
    sync_folder(data_dir)
    descriptor = os.open(data_dir / ("serve.lock" if number == 1 else f"serve.{number}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AlreadyRunning(
            f"another sendryd serve is running on {data_dir}: stop it, or set SENDRYD_DATA_DIR to another folder"
        ) from None
    return descriptor


def configure_logs(settings: Settings) -> LogOutput:
    """Form and level of the logs, as the settings and the terminal say."""
    return configure(settings.log_format or ("text" if sys.stderr.isatty() else "json"), settings.log_level)


def prepare_certificate(settings: Settings, basics: Basics) -> ServerCertificate:
    """The certificate, made if it is ours to make and not there. Raises `SettingsError` if it cannot be used."""
    cert, key = settings.cert_path, settings.key_path
    try:
        if settings.tls_cert is None:
            fault = ensure_own_certificate(cert, key, settings.hostname, basics.clock)
            if fault:
                log.warning("certificate_made_anew", path=str(cert), reason=fault)
        return ServerCertificate(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"the certificate {cert} and its key {key} cannot be used: {error}") from None


class Process:
    """One `serve`."""

    def __init__(
        self, basics: Basics, roles: frozenset[Role], config: Path | None = None, *, certificate_interval: float = CERTIFICATE_INTERVAL
    ) -> None:
        self._certificate_interval = certificate_interval  # seconds
        self._basics = basics
        self._roles = roles
        self._config = config
        basics.mail_log.send_to(configure_logs(basics.settings))
        self._directory = Directory(basics.store, basics.clock)
        self._certificate = prepare_certificate(basics.settings, basics)
        self._running = Running()
        self._tasks: list[asyncio.Task[None]] = []
        self._door: asyncio.Task[None] | None = None  # of HTTP over TLS
        self._daemons = Daemons(basics.clock)
        self._stop = asyncio.Event()
        self._has_signal = False
        self._was_ready = False
        self._has_failed = False

    async def run(self, on_ready: Callable[[Ready], Awaitable[None]]) -> None:
        """Runs until a signal says otherwise. Raises `PortTaken`, and `DaemonFailed` after an orderly stop."""
        self._handle_signals()
        try:
            spool, ready = await self._start()
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            await on_ready(ready)
            self._was_ready = True
            confirm_spool(spool)
            log.info("ready", smtp=[str(address) for address in ready.smtp], http=str(ready.http) if ready.http else None)
            await self._stop.wait()
        finally:
            await self._shut_down()
        if self._has_failed:
            raise DaemonFailed("the store failed, as the log says; everything was stopped in order")

    async def _start(self) -> tuple[SpoolReport, Ready]:
        settings = self._basics.settings
        _raise_descriptor_limit()
        sockets = self._bind()
        _warn(settings, self._roles, self._basics.clock.now())
        smtp = tuple(bound_address(sock, asked) for sock, asked in zip(sockets.smtp, settings.smtp_listen, strict=False))
        smtp_port = smtp[0].port if smtp else settings.smtp_listen[0].port
        http = bound_address(sockets.http, settings.http_listen) if sockets.http else None
        shared = await self._share(http)
        spool = await compare_spool(self._basics.store)
        await join(self._basics, self._running, self._roles)
        last_seen = await self._basics.store.read_clock()
        self._basics.clock.begin_from(last_seen)
        await self._return_dead_leases()
        await self._start_roles(shared, sockets, last_seen, smtp_port)
        self._running.statistics["daemons"] = lambda: {"failures": self._daemons.failures}
        for daemon in [*self._running.daemons, *self._basics.cluster.daemons, self._keep_house]:
            self._tasks.append(asyncio.create_task(self._daemons.keep_running(daemon)))
        inbound = tuple(bound_address(sock, asked) for sock, asked in zip(sockets.inbound, settings.inbound_listen, strict=False))
        return spool, Ready(smtp, http, settings.cert_path, inbound)

    async def _start_roles(self, shared: Shared, sockets: Sockets, last_seen: datetime | None, smtp_port: int) -> None:
        basics, running = self._basics, self._running
        if Role.DELIVERY in self._roles:
            from sendryd.app.roles.delivery import start_delivery

            await start_delivery(basics, running, shared)
        if Role.SMTP in self._roles:
            from sendryd.app.roles.smtp import start_inbound, start_smtp

            await start_smtp(basics, running, shared, self._certificate, sockets)
            await start_inbound(basics, running, shared, self._certificate, sockets)
        if Role.WEBHOOKS in self._roles:
            from sendryd.app.roles.webhooks import start_webhooks

            start_webhooks(basics, running)
        if Role.UPKEEP in self._roles:
            from sendryd.app.roles.upkeep import start_upkeep

            start_upkeep(basics, running, shared, last_seen)
        if Role.HTTP in self._roles:
            from sendryd.app.roles.http import start_http

            start_http(basics, running, shared, smtp_port)
            await self._serve_http(sockets)

    async def _return_dead_leases(self) -> None:
        """Takes back what dead processes had leased."""
        returned = await self._basics.cluster.return_dead_leases(now=self._basics.clock.now(), pause=pause_after_crash)
        if returned.deliveries:
            log.warning("leases_returned_at_start", count=len(returned.deliveries))
        for each in returned.deliveries:
            if each.crashes > 1:
                log.error(
                    "delivery_held" if each.due_at is None else "delivery_put_off",
                    id=format_id(MESSAGE_PREFIX, each.message_id),
                    delivery=format_id(DELIVERY_PREFIX, each.id),
                    reason=crash_reason(each.crashes),
                    next_attempt_at=each.due_at.isoformat() if each.due_at else None,
                )
        if returned.notifications:
            log.warning("notifications_returned_at_start", count=returned.notifications)

    async def _share(self, http: Address | None) -> Shared:
        basics, settings = self._basics, self._basics.settings
        secret = await basics.store.ensure_secret(LINK_KEY_NAME, basics.rand.secret(LINK_KEY_LENGTH).encode("ascii"))
        return_secret = await basics.store.ensure_secret(SECRET_NAME, basics.rand.secret(SECRET_LENGTH).encode("ascii"))
        return Shared(self._directory, public_url(settings, http), secret, SmtpSessions(basics.clock), return_secret)

    def _bind(self) -> Sockets:
        settings = self._basics.settings
        smtp = settings.smtp_listen if Role.SMTP in self._roles else ()
        smtps = settings.smtps_listen if Role.SMTP in self._roles else ()
        inbound = settings.inbound_listen if Role.SMTP in self._roles else ()
        with ExitStack() as bound:  # of several, none stays bound if one is taken

            def each(setting: str, addresses: Sequence[Address]) -> tuple[socket.socket, ...]:
                # Beside others on one database, the next version takes over the addresses before this one lets go of them.
                is_shared = bool(settings.database_url)
                return tuple(bound.enter_context(_bind(setting, address, is_shared=is_shared)) for address in addresses)

            http = each("HTTP_LISTEN", (settings.http_listen,)) if Role.HTTP in self._roles else ()
            sockets = Sockets(
                smtp=each("SMTP_LISTEN", smtp),
                smtps=each("SMTPS_LISTEN", smtps),
                inbound=each("INBOUND_LISTEN", inbound),
                http=http[0] if http else None,
            )
            bound.pop_all()
        return sockets

    async def _serve_http(self, sockets: Sockets) -> None:
        server = self._running.http
        if server is None or sockets.http is None:
            return
        server.lifespan = server.config.lifespan_class(server.config)
        context, limits = self._running.http_tls, self._running.http_limits
        if context is None or limits is None:
            await server.startup(sockets=[sockets.http])
        else:
            from sendryd.api.framework.tlsdoor import TlsDoor

            await server.startup(sockets=[])
            door = TlsDoor(sockets.http, context, limits, server, self._basics.clock)
            self._door = asyncio.create_task(door.run())
        self._tasks.append(asyncio.create_task(server.main_loop()))

    async def _keep_house(self) -> None:
        """Certificates that changed, keys that were used."""
        elapsed, noted = 0.0, float("-inf")
        while True:
            await self._basics.clock.sleep(self._certificate_interval)
            if not self._basics.store.can_write():  # nothing can be acknowledged any more
                log.critical("store_ended", advice="the log of the store says why; a supervisor starts the program again")
                self._has_failed = True
                self._stop.set()
                return
            self.reload_certificate()
            if self._basics.clock.monotonic() - noted >= CLOCK_INTERVAL:
                noted = self._basics.clock.monotonic()
                with suppress(StoreError):
                    await self._basics.store.note_clock(self._basics.clock.settled())
            elapsed += self._certificate_interval
            if elapsed >= TOUCH_INTERVAL:
                elapsed = 0.0
                with suppress(StoreError):
                    await self._directory.flush()

    def reload_certificate(self) -> None:
        """New connections get the new certificate; broken files leave the old one."""
        try:
            if self._certificate.reload_if_changed():
                context = self._running.http_tls
                if context is not None:  # its door holds on to it, so that it is given the new pair
                    context.load_cert_chain(self._certificate.cert, self._certificate.key)
                log.info("certificate_reloaded", path=str(self._certificate.cert))
        except (OSError, ssl.SSLError) as error:
            log.error("certificate_not_reloaded", path=str(self._certificate.cert), error=str(error))

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload_signal)

    def _on_stop_signal(self) -> None:
        if self._has_signal:
            log.warning("stopped_at_once")
            os._exit(1)
        self._has_signal = True
        self.stop()

    def stop(self) -> None:
        """Stops in order, soon."""
        if not self._stop.is_set():
            log.info("stopping")
        self._stop.set()

    def _on_reload_signal(self) -> None:
        self.reload_certificate()
        try:
            settings = load_settings(config=self._config)
        except SettingsError as error:
            log.error("settings_not_reloaded", reason=str(error))
            return
        self._basics.mail_log.send_to(configure_logs(settings))
        self._directory.invalidate()
        if self._basics.pools.use(settings.egress):
            log.info("egress_reloaded", pools=list(settings.egress))
        running = self._basics.settings
        waiting = [name for name in Settings.model_fields if getattr(settings, name) != getattr(running, name) and name not in AT_RUN_TIME]
        log.info("reloaded")
        if waiting:
            log.warning("settings_need_a_restart", settings=waiting)

    async def _shut_down(self) -> None:
        """Doors first, then the engine, then the store."""
        if self._running.health:
            self._running.health.is_stopping = True
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                ends = await asyncio.gather(*(stop() for stop in self._running.stops), self._stop_http(), return_exceptions=True)
            for fault in filter(None, ends):
                log.error("stop_failed", error=repr(fault))
        except TimeoutError:
            log.warning("stop_timed_out")
        self._basics.fences.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(StoreError):
            await self._directory.flush()
            if self._was_ready:
                await self._basics.store.note_clock(self._basics.clock.settled())
        await self._basics.cluster.leave()
        await self._basics.store.aclose()
        self._basics.mail_log.flush()
        if self._was_ready:
            log.info("stopped")

    async def _stop_http(self) -> None:
        server = self._running.http
        if self._door is not None:
            self._door.cancel()
            await asyncio.gather(self._door, return_exceptions=True)
        if server and server.started:
            server.should_exit = True
            await server.shutdown()


def _bind(setting: str, address: Address, *, is_shared: bool) -> socket.socket:
    """A socket that listens. Raises `PortTaken`, which names the setting to change."""
    try:
        return bind(address, is_shared=is_shared)
    except PortTaken as error:
        raise PortTaken(f"{error} ({PREFIX}{setting})") from None


def _warn(settings: Settings, roles: frozenset[Role], now: datetime) -> None:
    """Says what works and should not stay so."""
    expires = x509.load_pem_x509_certificate(settings.cert_path.read_bytes()).not_valid_after_utc
    if expires - now < EXPIRY_NOTICE:
        event = "certificate_expired" if expires < now else "certificate_expires_soon"
        log.warning(
            event, path=str(settings.cert_path), expires=expires.isoformat(), advice="replace the file and its key; no restart is needed"
        )
    if Role.HTTP in roles and not settings.http_tls and not is_loopback(settings.http_listen.host):
        log.warning("http_without_tls", listen=str(settings.http_listen), advice=HTTP_ADVICE)
    public = urlsplit(settings.public_url)
    if public.scheme == "http" and not is_loopback(public.hostname or ""):
        log.warning("public_url_without_tls", public_url=settings.public_url, advice=PUBLIC_URL_ADVICE)


def _raise_descriptor_limit() -> None:
    """Every connection is a descriptor; the usual soft limit is 1024, the hard one far above."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
