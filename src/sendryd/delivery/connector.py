"""Connections for attempts: an idle one of the pool, or a new one. Remembers which addresses were silent."""

from dataclasses import dataclass, field

from sendryd.delivery.dialogue import Timeouts
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.patience import Patience
from sendryd.delivery.pool import ConnectionPool
from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.silence import Silences
from sendryd.delivery.sites import Sites
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
    sites: Sites = field(default_factory=Sites)

    async def connect(self, target: Target, domain: str, patience: Patience, notes: AttemptNotes) -> Connection:
        """A connection to a target, for mail to a domain. What is said goes to the notes. Raises `DeliveryFault`."""
        session = notes.begin(target, self.tracer.begin(domain, target))
        if target.source is not None:
            session.note(f"from {target.source.address}, as {target.source.hello_name}")
        connection = self.pool.take(target)
        if connection is not None:
            session.note(f"connection kept from an earlier mail, {connection.messages_sent} so far")
            if connection.tls is not None:
                session.note_tls(connection.tls, is_kept=True)
            connection.take_notes(session)
            return connection
        try:
            connection = await open_connection(
                target,
                hello_name=target.source.hello_name if target.source is not None else self.hello_name,
                contexts=self.contexts,
                timeouts=self.timeouts,
                clock=self.clock,
                patience=patience,
                notes=session,
            )
        except DeliveryFault as fault:
            self.silences.note_fault(target, fault, self.clock.monotonic())
            raise
        self.silences.note_session(target)
        connection.max_messages = self.sites.limits_of(domain).messages_per_connection
        return connection
