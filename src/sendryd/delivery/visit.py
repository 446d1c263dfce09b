"""Visit: all open recipients of one message at one target, in as many transactions as the server wants.

Strategy: a server that takes fewer recipients at once gets the others in another transaction at once; one that refuses a recipient without saying
which is asked for each alone. A session whose TLS fails goes on with less of it (`tls_fallback`). An idle connection that had died is replaced by
a fresh one once. A kept connection goes back to the pool.
Standards: RFC 5321 §4.5.3.1.10, RFC 6152, RFC 6531.
"""

from collections.abc import Sequence
from dataclasses import replace

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.connector import Connector
from sendryd.delivery.contents import NO_SMTPUTF8, Letter, Unsendable, choose_form
from sendryd.delivery.egress import ANY_ADDRESS, Departure, put_off
from sendryd.delivery.faults import DeliveryFault
from sendryd.delivery.patience import Patience
from sendryd.delivery.returnpaths import Sender
from sendryd.delivery.target import Target
from sendryd.delivery.tls_fallback import TlsFallback
from sendryd.delivery.tls_results import Observer
from sendryd.delivery.transport import Connection
from sendryd.model.message import TlsDemand
from sendryd.policy.replies.classify import classify
from sendryd.policy.replies.verdict import Category, Kind, NetworkFailure, Relay, Verdict, local_verdict
from sendryd.policy.throttle import Signal
from sendryd.policy.tls import TlsMode, TlsSecurity
from sendryd.policy.tlspolicy import not_secured
from sendryd.smtp.reply import Reply
from sendryd.smtp.timeouts import Step
from sendryd.smtp.transaction import OutboundEnvelope
from sendryd.store.base import ClaimedDelivery


class Visit:
    """Adds verdicts to the attempt."""

    __slots__ = (
        "_attempt",
        "_connection",
        "_connector",
        "_departure",
        "_fallback",
        "_letter",
        "_observer",
        "_patience",
        "_sender",
        "_started",
        "_target",
    )

    def __init__(
        self,
        attempt: Attempt,
        target: Target,
        letter: Letter,
        *,
        sender: Sender,
        connector: Connector,
        fallback: TlsFallback,
        patience: Patience,
        observer: Observer | None = None,
        departure: Departure = ANY_ADDRESS,
    ) -> None:
        """`observer` notes how TLS went. `departure` chooses the address that mail leaves from, if one is to be chosen."""
        self._attempt = attempt
        self._target = target
        self._letter = letter
        self._sender = sender
        self._connector = connector
        self._fallback = fallback
        self._patience = patience
        self._observer = observer
        self._departure = departure
        self._connection: Connection | None = None
        self._started = connector.clock.monotonic()

    async def run(self, deliveries: Sequence[ClaimedDelivery]) -> Signal:
        """GOOD if the server had something to say of the message or of a recipient. NEUTRAL if its answer to the content was lost: that is no
        success, and a site whose sessions stall there must not count as a good one.
        """
        waiting, size = list(deliveries), 1 if self._sender.is_own else len(deliveries)  # an own return path names one recipient
        while waiting:
            group, rest = waiting[:size], waiting[size:]
            try:
                connection = self._connection
                if connection is None:
                    connection = self._connection = await self._connect(waiting[0].domain)
                await self._transact(connection, group)
            except DeliveryFault as fault:
                if self._fall_back(fault, len(waiting)):
                    continue
                self._judge_fault(fault, group, rest)
                says_nothing = fault.is_in_doubt or fault.failure is NetworkFailure.NOT_BOUND
                return Signal.NEUTRAL if says_nothing else self._signal(deliveries)
            except BaseException:
                if self._connection is not None:
                    self._connection.abort()
                raise
            waiting, size = self._go_on(connection, group, rest, size)
        if self._connection is not None:
            self._give_back(self._connection)
        return self._signal(deliveries)

    async def _connect(self, domain: str) -> Connection:
        observer = self._observer
        try:
            connection = await self._connector.connect(self._target, domain, self._patience, self._attempt.notes)
        except DeliveryFault as fault:
            if observer is not None:
                observer.note_fault(self._target, fault)
            raise
        if observer is not None and not connection.was_reused:
            observer.note_session(self._target, is_encrypted=connection.tls is not None)
        return connection

    async def _transact(self, connection: Connection, group: Sequence[ClaimedDelivery]) -> None:
        """One transaction."""
        letter = self._letter
        message, extensions = letter.message, connection.extensions
        try:
            form = await letter.form(choose_form(message, extensions))
        except Unsendable as error:
            self._bounce(group, error.enhanced, error.sentence)
            return
        if not (extensions.smtputf8 and extensions.eightbitmime):  # RFC 6531 §3.1
            refused = [each for each in group if not (self._sender.reverse_path(each.id) + each.forward_path).isascii()]
            if refused:
                self._bounce(refused, "5.6.7", NO_SMTPUTF8)
                group = [each for each in group if each not in refused]
            if not group:
                return
        envelope = OutboundEnvelope(
            reverse_path=self._sender.reverse_path(group[0].id),
            forward_paths=tuple([each.forward_path for each in group]),
            size=form.content.size,
            needs_smtputf8=form.needs_smtputf8,
            is_8bit=form.is_8bit,
            ret=message.ret,
            envid=message.envid,
            requires_tls=message.tls_demand is TlsDemand.REQUIRED,
            notify={each.forward_path: each.notify for each in group if each.notify},
            orcpt={each.forward_path: each.orcpt for each in group if each.orcpt},
        )
        result = await connection.deliver(envelope, form.content)
        relay, verdicts = connection.relay(self._duration()), self._attempt.verdicts
        if extensions.dsn and envelope.notify and not self._sender.is_own:
            relay = replace(relay, will_report=True)
        is_alone = len(group) == 1 or len([step for step in result.steps.values() if step is not Step.RCPT]) == 1
        for path, reply in result.per_recipient.items():
            verdicts[path] = classify(reply, step=result.steps[path], relay=relay, is_alone=is_alone)

    def _go_on(
        self, connection: Connection, group: list[ClaimedDelivery], rest: list[ClaimedDelivery], size: int
    ) -> tuple[list[ClaimedDelivery], int]:
        """The recipients that are still to be sent to here after a transaction, and how many of them at once."""
        verdicts = self._attempt.verdicts
        self._fallback.note(self._target, connection, self._connector.clock.monotonic())
        said = [verdicts[each.forward_path] for each in group]
        if not rest and len(said) == len([True for each in said if each.kind is Kind.DELIVERED]):  # nearly always
            return rest, size
        split = [each for each, verdict in zip(group, said, strict=True) if verdict.must_split]
        if split and len(split) < len(group):
            size = max(1, len(group) - len(split))
            rest = split + rest
        if alone := [each for each, verdict in zip(group, said, strict=True) if verdict.must_ask_alone]:
            size, rest = 1, alone + rest
        demanded = self._fallback.after_demand(self._target, connection, said)
        rerouted = self._reroute(group)
        if demanded is not None or rerouted is not None or not connection.is_usable or connection.is_used_up:
            self._give_back(connection)
            self._connection = None
        if rerouted is not None:
            self._target, refused = rerouted
            return refused + rest, size
        if demanded is not None:
            self._target = demanded
            demanding = [each for each, verdict in zip(group, said, strict=True) if verdict.demands_tls]
            rest = [each for each in demanding if each not in rest] + rest
        return rest, size

    def _reroute(self, group: Sequence[ClaimedDelivery]) -> tuple[Target, list[ClaimedDelivery]] | None:
        """The same server dialled from another address, and the recipients that were refused for the reputation of the present one; these are put
        off in any case.
        """
        verdicts = self._attempt.verdicts
        refused = [
            each for each in group if verdicts[each.forward_path].kind is Kind.BOUNCED and _is_of_address(verdicts[each.forward_path])
        ]
        if self._departure.is_open or not refused:
            return None
        for each in refused:
            verdicts[each.forward_path] = put_off(verdicts[each.forward_path])
        other = self._departure.after_refusal(self._target, len(refused))
        return (other, refused) if other is not None else None

    def _fall_back(self, fault: DeliveryFault, recipients: int) -> bool:
        """Makes another target or another connection of what broke. False if nothing is left to try here. `recipients` are still to be sent to."""
        if self._connection is not None and fault.may_retry:
            self._connection = None
            return True
        if fault.failure is NetworkFailure.NOT_BOUND:
            other = self._departure.after_unbound(self._target, fault.detail, recipients)
            self._target = other or self._target
            return other is not None
        if isinstance(fault.failure, Reply) and fault.failure.is_permanent and _is_of_address(fault.verdict(self._relay())):
            other = self._departure.after_refusal(self._target, recipients)
            if other is not None:
                self._target, self._connection = other, None
                return True
        weaker = self._fallback.after_failure(self._target, fault)
        if weaker is None:
            return False
        self._target, self._connection = weaker, None
        return True

    def _judge_fault(self, fault: DeliveryFault, group: Sequence[ClaimedDelivery], rest: Sequence[ClaimedDelivery]) -> None:
        verdicts, relay = self._attempt.verdicts, self._relay()
        if fault.failure is NetworkFailure.NOT_BOUND:
            self._attempt.judge([*group, *rest], self._departure.verdict())
            return
        if fault.is_of_tls and self._target.tls.is_authenticated:
            self._attempt.judge([*group, *rest], not_secured(group[0].domain, relay, self._target.tls.security, fault.explanation))
            return
        for each in group:
            reply = fault.replies.get(each.forward_path)
            is_refused = reply is not None and not reply.is_positive
            verdicts[each.forward_path] = classify(reply, step=Step.RCPT, relay=relay) if reply and is_refused else fault.verdict(relay)
        self._attempt.judge(rest, fault.verdict_on_unsent(relay))

    def _bounce(self, deliveries: Sequence[ClaimedDelivery], enhanced: str, sentence: str) -> None:
        self._attempt.judge(deliveries, local_verdict(Kind.BOUNCED, Category.CONTENT_REJECTED, enhanced, sentence))

    def _signal(self, deliveries: Sequence[ClaimedDelivery]) -> Signal:
        """A server that says 421 to every MAIL, or hangs up, wants to be left alone no less than one that cannot be reached. One that does not show
        what a domain's policy of TLS asks, or refuses one of our addresses, may take other mail.
        """
        verdicts = [self._attempt.verdicts[each.forward_path] for each in deliveries]
        for each in verdicts:
            if not each.is_open:
                return Signal.GOOD
        is_of_policy = not self._fallback.is_fixed and any(each.unmet is not None for each in verdicts)
        is_of_source = self._target.source is not None and any(map(_is_of_address, verdicts))
        return Signal.NEUTRAL if is_of_policy or is_of_source else Signal.BAD

    def _relay(self) -> Relay:
        if self._connection is not None:
            return self._connection.relay(self._duration())
        target = self._target
        security = target.tls.security if target.tls.mode is not TlsMode.NEVER else TlsSecurity.NONE
        return Relay(
            host=target.host,
            address=target.address,
            port=target.port,
            duration_ms=self._duration(),
            security=security,
            source=target.source.address if target.source is not None else "",
        )

    def _duration(self) -> int:
        """Milliseconds since the visit began."""
        return round((self._connector.clock.monotonic() - self._started) * 1000)

    def _give_back(self, connection: Connection) -> None:
        self._connector.pool.give_back(self._fallback.pool_key(self._target, connection), connection)


def _is_of_address(verdict: Verdict) -> bool:
    return verdict.category is Category.IP_REPUTATION
