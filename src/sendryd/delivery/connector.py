"""Connections for attempts: an idle one of the pool, or a new one. Remembers which addresses were silent."""

from dataclasses import dataclass
from functools import partial

from sendryd.delivery.dialogue import Timeouts
from sendryd.delivery.dialoguenotes import AttemptNotes, SessionNotes
from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.patience import Patience
from sendryd.delivery.pool import ConnectionPool
from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.silence import Silences
from sendryd.delivery.target import Target
from sendryd.delivery.transcript import Tracer
from sendryd.delivery.transport import Connection, open_connection
from sendryd.runtime.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """Makes and takes connections. One object serves all attempts."""

    hello_name: str
    timeouts: Timeouts
    contexts: TlsContexts
    pool: ConnectionPool[Connection]
    tracer: Tracer
    silences: Silences
    clock: Clock
    shaper: Shaper

    async def connect(self, target: Target, domain: str, patience: Patience, notes: AttemptNotes) -> Connection:
        """A connection to a target, for mail to a domain. What is said goes to the notes. Raises `DeliveryFault`."""
        session = notes.begin(target, self.tracer.begin(domain, target))
        if target.source is not None:
            session.note(f"from {target.source.address}, as {target.source.hello_name}")
        connection = self._take_kept(target)
        if connection is not None:
            session.note(f"connection kept from an earlier mail, {connection.messages_sent} so far")
            if connection.tls is not None:
                session.note_tls(connection.tls, is_kept=True)
            connection.take_notes(session)
            return connection
        site = self.shaper.sites.site_of(domain) or domain
        limits = self.shaper.limits(site)
        await self.shaper.sessions.open(site, limits.connections, lambda: self.pool.take_any(lambda idle: idle.site == site))
        try:
            connection = await self._open(target, domain, patience, session)
        except BaseException as error:
            self.shaper.sessions.close(site)
            if isinstance(error, DeliveryFault):
                self.silences.note_fault(target, error, self.clock.monotonic())
            raise
        connection.site, connection.max_messages = site, limits.messages_per_connection
        connection.on_closed = partial(self.shaper.sessions.close, site)
        self.silences.note_session(target)
        return connection

    def _take_kept(self, target: Target) -> Connection | None:
        """A connection that is kept, if it may carry one more message by the rules as they are now."""
        while (connection := self.pool.take(target)) is not None:
            connection.max_messages = self.shaper.limits(connection.site).messages_per_connection
            if not connection.is_used_up:
                return connection
            self.pool.give_back(target, connection)  # which closes it
        return None

    async def _open(self, target: Target, domain: str, patience: Patience, session: SessionNotes) -> Connection:
        await self.shaper.connect(domain)
        return await open_connection(
            target,
            hello_name=target.source.hello_name if target.source is not None else self.hello_name,
            contexts=self.contexts,
            timeouts=self.timeouts,
            clock=self.clock,
            patience=patience,
            notes=session,
        )
