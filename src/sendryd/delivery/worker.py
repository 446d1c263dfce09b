"""One claim: sign, try the hosts of its route in order, record what came of it.

Does: delivers a message to recipients of one next hop in one transaction, and stores one outcome for each of them.
Reads: the content, the sending domain's key.
Writes: `store.record_attempt`, once, as soon as the outcome is known and before anything else.
Strategy: hosts by preference, addresses in order, in later attempts the silent ones last; a failure that speaks of the host or the session goes
on to the next one, one that speaks of the message or the recipient does not. How much encryption a host gets is decided in
`delivery.encryption`. An idle connection that had died is replaced by a fresh one once.
When things fail: an outcome that the store cannot take is kept and stored later; the message is not sent again meanwhile. A lease that was
lost means that somebody else decides: nothing is stored.
Limits: those of a transaction are in `delivery.grouping`; what the receivers may take is in `smtp.timeouts`.
Standards: RFC 5321, RFC 7505, RFC 7435, RFC 6152, RFC 6531.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, auto
from typing import Final

from sendryd.delivery.contents import NO_SMTPUTF8, Contents, Letter, Unsendable, choose_form
from sendryd.delivery.destinations import Destinations, NoRoute, Route
from sendryd.delivery.encryption import Encryption, TlsMemory
from sendryd.delivery.outcomelog import log_outcome
from sendryd.delivery.patience import Patience
from sendryd.delivery.plan import Turn, plan_mx, plan_smart_host
from sendryd.delivery.pool import ConnectionPool
from sendryd.delivery.signer import Signer, SigningKeyDamaged, SigningKeyMissing
from sendryd.delivery.silence import Silences
from sendryd.delivery.transcript import Tracer
from sendryd.delivery.transport import (
    Connection,
    DeliveryFault,
    Target,
    Timeouts,
    TlsContexts,
    TlsRule,
    open_connection,
)
from sendryd.delivery.verdict import Verdict, judge, judge_fault, judge_unsent, local_verdict, make_outcome
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.domain import TlsPolicy
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, DeliveryId, EventId, SuppressionId, format_id
from sendryd.model.message import MessageType
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.classify import Category, Kind, Scope
from sendryd.policy.retry import GiveUp, RetryAt, RetryPlan, next_attempt
from sendryd.policy.routing import SmartHost
from sendryd.policy.suppress import normalise_address
from sendryd.runtime.budget import BudgetExhausted
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.rand import Rand
from sendryd.smtp.timeouts import Step
from sendryd.smtp.transaction import OutboundEnvelope
from sendryd.store.base import Claim, ClaimedDelivery, MailStore, NewEvent, Outcome
from sendryd.store.errors import Conflict, ContentDamaged, LeaseLost, NotFound, StoreError, StoreUnavailable

RECORD_BACKOFF: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds between tries to store an outcome
CONTENT_DAMAGED: Final = "The stored content of the message is missing or damaged"  # for the account; the log and the queue name the file
SIGNING_KEY_DAMAGED: Final = "The stored signing key of the sending domain is damaged"
KEY_ADVICE: Final = "repair the row of the domain from a backup, then release the message with sendryd queue release"
DAMAGE_ADVICE: Final = "restore the file of the spool from a backup, then release the message with sendryd queue release"
OUR_FAULT: Final = local_verdict(Kind.DEFERRED, Category.OTHER, "4.3.0", "Internal error")
_SESSION_SCOPES: Final = frozenset({Scope.SESSION, Scope.HOST})

log = get_logger("delivery")


class Signal(Enum):
    """What an attempt tells of its next hop."""

    GOOD = auto()  # it talked to us of the mail
    BAD = auto()  # no session could be had, or none that got as far as that
    NEUTRAL = auto()  # it was not asked


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What delivery needs to know of the installation."""

    hostname: str
    mx_port: int
    smart_host: SmartHost | None
    allow_private_networks: bool
    retry_plan: RetryPlan
    timeouts: Timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """What all attempts share."""

    store: MailStore
    contents: Contents
    destinations: Destinations
    pool: ConnectionPool[Connection]
    contexts: TlsContexts
    signer: Signer
    clock: Clock
    rand: Rand
    ids: IdSource
    mail_log: MailLog
    tracer: Tracer


@dataclass(slots=True)
class Attempt:
    """What an attempt came to, to be recorded."""

    claim: Claim  # without the recipients that were not to be tried
    signal: Signal = Signal.NEUTRAL
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # by forward-path


class Worker:
    """Carries out claims. One object serves all of them at once."""

    def __init__(self, context: WorkerContext, settings: WorkerSettings) -> None:
        self._context = context
        self._settings = settings
        self.tls_memory = TlsMemory()
        self._silences = Silences()
        self.unrecorded = 0  # outcomes that wait for the store
        self.damaged = 0  # deliveries held because their content or their domain's key is damaged

    async def attempt(self, claim: Claim, content: bytes | None, route: Route | NoRoute) -> Attempt:
        """One attempt for the recipients of one transaction. `content` saves reading it. Without a route the outcome is what that means.
        Raises nothing but cancellation.

        What it came to has to be given to `record` before anything else is done for these recipients.
        """
        attempt = Attempt(claim)
        try:
            if content is None:  # it has waited: its recipients may have been suppressed since it was accepted
                attempt.claim = claim = await self._skip_suppressed(claim)
                if not claim.deliveries:
                    return attempt
            if claim.message.mode is not KeyMode.LIVE:
                raise AssertionError("a test message reached the delivery engine")
            if isinstance(route, NoRoute):
                for each in claim.deliveries:
                    attempt.verdicts[each.forward_path] = self._context.destinations.judge(route, claim.domain, each)
            else:
                attempt.signal = await self._attempt(claim, content, route, attempt.verdicts)
        except SigningKeyMissing as error:
            await self._hold(claim, HoldReason.DOMAIN_REMOVED, f"Held: {error}")
            attempt.claim = replace(claim, deliveries=())
        except SigningKeyDamaged as error:
            reason = f"{error.domain}: {error.reason}"
            log.error("signing_key_damaged", id=format_id(MESSAGE_PREFIX, claim.message.id), reason=reason, advice=KEY_ADVICE)
            self.damaged += len(claim.deliveries)
            await self._hold(claim, HoldReason.SIGNING_KEY_DAMAGED, f"Held: {error}", event={"held": True, "reason": SIGNING_KEY_DAMAGED})
            attempt.claim = replace(claim, deliveries=())
        except (ContentDamaged, NotFound) as error:
            log.error("content_damaged", id=format_id(MESSAGE_PREFIX, claim.message.id), reason=str(error), advice=DAMAGE_ADVICE)
            self.damaged += len(claim.deliveries)
            undecided = [each for each in claim.deliveries if not _is_decided(attempt.verdicts.get(each.forward_path))]
            await self._hold(
                replace(claim, deliveries=tuple(undecided)),
                HoldReason.CONTENT_DAMAGED,
                f"Held: {error}",
                event={"held": True, "reason": CONTENT_DAMAGED},
            )
            attempt.claim = replace(claim, deliveries=tuple(each for each in claim.deliveries if each not in undecided))
        except BudgetExhausted as error:
            log.warning("content_waits_for_memory", id=format_id(MESSAGE_PREFIX, claim.message.id), error=str(error))
            verdict = local_verdict(Kind.DEFERRED, Category.OTHER, "4.3.1", "Too many large messages are being sent at once")
            _give(attempt.verdicts, claim, verdict)
        except (StoreError, OSError) as error:
            log.error("content_not_read", id=format_id(MESSAGE_PREFIX, claim.message.id), error=repr(error))
            verdict = local_verdict(Kind.DEFERRED, Category.OTHER, "4.3.0", "The message could not be read")
            _give(attempt.verdicts, claim, verdict)
        except Exception:
            log.exception("attempt_failed", id=format_id(MESSAGE_PREFIX, claim.message.id), domain=claim.domain)
            _give(attempt.verdicts, claim, OUR_FAULT)
        return attempt

    async def record(self, attempt: Attempt) -> frozenset[DeliveryId]:
        """Stores what an attempt came to, however long that takes. Raises nothing but cancellation.

        What goes wrong here is a failed attempt. Returns the deliveries for which the store refuses even that: they must not be tried again.
        """
        if not attempt.claim.deliveries:
            return frozenset()
        try:
            await self._record(attempt.claim, attempt.verdicts)
        except Exception:
            log.exception("attempt_not_recorded", id=format_id(MESSAGE_PREFIX, attempt.claim.message.id), domain=attempt.claim.domain)
            return await self._record_one_by_one(attempt)
        return frozenset()

    async def _record_one_by_one(self, attempt: Attempt) -> frozenset[DeliveryId]:
        """Each delivery for itself: what the attempt came to, or a failed attempt if that cannot be stored."""
        stuck = []
        for delivery in attempt.claim.deliveries:
            alone = replace(attempt.claim, deliveries=(delivery,))
            for verdicts in (attempt.verdicts, {delivery.forward_path: OUR_FAULT}):
                try:
                    await self._record(alone, verdicts)
                    break
                except Exception:
                    log.exception("delivery_not_recorded", delivery=format_id(DELIVERY_PREFIX, delivery.id))
            else:
                stuck.append(delivery.id)
        return frozenset(stuck)

    async def _skip_suppressed(self, claim: Claim) -> Claim:
        """The claim without the deliveries whose addresses get no mail any more; those are done with."""
        store, message = self._context.store, claim.message
        paths = {normalise_address(each.forward_path) for each in claim.deliveries}
        skipped = dict.fromkeys(await store.find_suppressed(message.account_id, sorted(paths)), "suppressed")
        if message.type is MessageType.MARKETING:
            for email in await store.find_unsubscribed(message.account_id, message.list_id, sorted(paths)):
                skipped.setdefault(email, SuppressionReason.UNSUBSCRIBE.value)
        if not skipped:
            return claim
        outcomes = []
        for delivery in claim.deliveries:
            reason = skipped.get(normalise_address(delivery.forward_path))
            if reason is not None:
                event = NewEvent(id=EventId(self._context.ids.next()), type=EventType.SUPPRESSED, metadata={"reason": reason})
                sentence = "The address is suppressed" if reason == "suppressed" else "The recipient has unsubscribed"
                outcomes.append(
                    Outcome(
                        delivery_id=delivery.id,
                        state=DeliveryState.SUPPRESSED,
                        due_at=None,
                        reply=sentence,
                        events=(event,),
                        is_attempt=False,
                    )
                )
        is_ours = await self._store_outcomes(claim, outcomes, self._context.clock.now())
        if is_ours:
            self._log_skipped(claim, skipped)
        rest = tuple(each for each in claim.deliveries if is_ours and normalise_address(each.forward_path) not in skipped)
        return replace(claim, deliveries=rest)

    async def _hold(self, claim: Claim, reason: HoldReason, sentence: str, *, event: Metadata | None = None) -> None:
        """Holds the deliveries of a claim, without an attempt, until somebody mends what is wrong. `event` is what the account may know."""
        next_id = self._context.ids.next
        log.warning(
            "held", id=format_id(MESSAGE_PREFIX, claim.message.id), domain=claim.domain, count=len(claim.deliveries), reason=reason.value
        )
        outcomes = [
            Outcome(
                delivery_id=delivery.id,
                state=DeliveryState.HELD,
                due_at=None,
                reply=sentence,
                events=() if event is None else (NewEvent(id=EventId(next_id()), type=EventType.DEFERRED, metadata=event),),
                is_attempt=False,
                hold_reason=reason,
            )
            for delivery in claim.deliveries
        ]
        await self._store_outcomes(claim, outcomes, self._context.clock.now())

    def _log_skipped(self, claim: Claim, skipped: Mapping[str, str]) -> None:
        for delivery in claim.deliveries:
            reason = skipped.get(normalise_address(delivery.forward_path))
            if reason is not None:
                self._context.mail_log.outcome("suppressed", claim.message, delivery.forward_path, {"relay": None, "reply": reason})

    async def _attempt(self, claim: Claim, content: bytes | None, route: Route, verdicts: dict[str, Verdict]) -> Signal:
        context = self._context
        domain_id = claim.message.signing_domain_id
        if domain_id is None:
            raise SigningKeyMissing("the message has no sending domain")
        key = await context.signer.key(domain_id)
        targets = self._plan(claim, route, is_tls_enforced=key.tls_policy is TlsPolicy.ENFORCED)
        if isinstance(targets, Verdict):
            _give(verdicts, claim, targets)
            return Signal.NEUTRAL
        signal = Signal.BAD
        letter = context.contents.letter(claim, key, content)
        patience = Patience()
        for position, target in enumerate(targets):
            if position and patience.is_spent:
                break
            patience.addresses = len(targets) - position
            open_deliveries = [each for each in claim.deliveries if _is_open(verdicts.get(each.forward_path))]
            if not open_deliveries:
                break
            try:
                if await self._try_target(target, letter, open_deliveries, verdicts, patience) is Signal.GOOD:
                    signal = Signal.GOOD
            finally:
                letter.put_down()
        return signal

    # Where to.

    def _plan(self, claim: Claim, route: Route, *, is_tls_enforced: bool) -> list[Target] | Verdict:
        settings, domain, now = self._settings, claim.domain, self._context.clock.monotonic()
        turn = Turn(max(each.attempts for each in claim.deliveries), claim.message.id)
        if settings.smart_host is not None:
            found = plan_smart_host(settings.smart_host, [address for _, addresses in route for address in addresses], turn)
            return self._silences.put_last(found, now) if turn.number else found

        def encryption(host: str) -> tuple[TlsRule, bool]:
            if is_tls_enforced:
                return TlsRule.VERIFIED, False
            return self.tls_memory.rule(host, now, is_retry=turn.number > 0)

        targets = plan_mx(route, port=settings.mx_port, encryption=encryption, allow_private=settings.allow_private_networks, turn=turn)
        if not targets:
            sentence = f"All mail servers of {domain} are at private or reserved addresses, where mail is not sent"
            return local_verdict(Kind.BOUNCED, Category.ROUTING_ERROR, "5.4.4", sentence)
        return self._silences.put_last(targets, now) if turn.number else targets

    # How.

    async def _try_target(
        self, target: Target, letter: Letter, deliveries: Sequence[ClaimedDelivery], verdicts: dict[str, Verdict], patience: Patience
    ) -> Signal:
        """All open recipients at one target. GOOD if it had something to say of the message or of a recipient."""
        clock = self._context.clock
        started = clock.monotonic()
        connection: Connection | None = None
        encryption = Encryption(self.tls_memory, is_fixed=self._settings.smart_host is not None)
        waiting = list(deliveries)
        size = len(waiting)
        while waiting:
            group, rest = waiting[:size], waiting[size:]
            try:
                connection = connection or await self._connect(target, waiting[0].domain, patience)
                await self._transact(connection, letter, group, verdicts, started)
            except DeliveryFault as fault:
                may_retry = connection is not None and fault.may_retry
                retried = target if may_retry else encryption.weaken(target, fault)
                if retried is not None:
                    target, connection = retried, None
                    continue
                ms = round((clock.monotonic() - started) * 1000)
                for each in group:
                    reply = fault.replies.get(each.forward_path)
                    verdicts[each.forward_path] = (
                        judge(reply, Step.RCPT, target, connection, ms)
                        if reply is not None and not reply.is_positive
                        else judge_fault(fault, target, connection, ms)
                    )
                for each in rest:
                    verdicts[each.forward_path] = judge_unsent(fault, target, connection, ms)
                return _signal_of(deliveries, verdicts)
            except BaseException:
                if connection is not None:
                    connection.abort()
                raise
            split = [each for each in group if verdicts[each.forward_path].disposition.must_split]
            if split and len(split) < len(group):
                size = max(1, len(group) - len(split))
                rest = split + rest
            if alone := [each for each in group if verdicts[each.forward_path].disposition.must_ask_alone]:
                size, rest = 1, alone + rest
            encryption.note(target, connection, clock.monotonic())
            insisted = encryption.insist(target, connection, [verdicts[each.forward_path].disposition for each in group])
            if insisted is not None or not connection.is_usable:
                self._context.pool.give_back(encryption.key(target, connection), connection)
                connection = None
            if insisted is not None:
                target = insisted
                demanding = [each for each in group if verdicts[each.forward_path].disposition.demands_tls]
                rest = [each for each in demanding if each not in rest] + rest
            waiting = rest
        if connection is not None:
            self._context.pool.give_back(encryption.key(target, connection), connection)
        return _signal_of(deliveries, verdicts)

    async def _connect(self, target: Target, domain: str, patience: Patience) -> Connection:
        context = self._context
        transcript = context.tracer.begin(domain, f"{target.host}[{target.address}]:{target.port}")
        connection = context.pool.take(target)
        if connection is not None:
            connection.transcript = transcript
            return connection
        try:
            connection = await open_connection(
                target,
                hello_name=self._settings.hostname,
                contexts=context.contexts,
                timeouts=self._settings.timeouts,
                patience=patience,
                transcript=transcript,
            )
        except DeliveryFault as fault:
            self._silences.note_fault(target, fault, context.clock.monotonic())
            raise
        self._silences.note_session(target)
        return connection

    async def _transact(
        self,
        connection: Connection,
        letter: Letter,
        group: Sequence[ClaimedDelivery],
        verdicts: dict[str, Verdict],
        started: float,
    ) -> None:
        message = letter.message
        extensions = connection.extensions
        try:
            form = await letter.form(choose_form(message, extensions))
        except Unsendable as error:
            _bounce(verdicts, group, error.enhanced, error.sentence)
            return
        if not (extensions.smtputf8 and extensions.eightbitmime):  # RFC 6531 §3.1
            refused = [each for each in group if not (message.reverse_path + each.forward_path).isascii()]
            _bounce(verdicts, refused, "5.6.7", NO_SMTPUTF8)
            group = [each for each in group if each not in refused] if refused else group
            if not group:
                return
        envelope = OutboundEnvelope(
            reverse_path=message.reverse_path,
            forward_paths=tuple(each.forward_path for each in group),
            size=form.content.size,
            needs_smtputf8=form.needs_smtputf8,
            is_8bit=form.is_8bit,
            ret=message.ret,
            envid=message.envid,
            notify={each.forward_path: each.notify for each in group if each.notify},
            orcpt={each.forward_path: each.orcpt for each in group if each.orcpt},
        )
        result = await connection.deliver(envelope, form.content)
        ms = round((self._context.clock.monotonic() - started) * 1000)
        is_alone = sum(step is not Step.RCPT for step in result.steps.values()) == 1
        for path, reply in result.per_recipient.items():
            verdicts[path] = judge(reply, result.steps[path], connection.target, connection, ms, is_alone=is_alone)

    # And then.

    async def _record(self, claim: Claim, verdicts: dict[str, Verdict]) -> None:
        context = self._context
        now = context.clock.now()
        outcomes: list[Outcome] = []
        for delivery in claim.deliveries:
            verdict = verdicts[delivery.forward_path]
            retry = self._retry(claim, delivery, verdict, now) if verdict.disposition.kind is Kind.DEFERRED else None
            outcomes.append(make_outcome(delivery, verdict, retry, context.ids.next))
        if not await self._store_outcomes(claim, outcomes, now):
            return
        for delivery, outcome in zip(claim.deliveries, outcomes, strict=True):
            log_outcome(context.mail_log, claim, delivery, verdicts[delivery.forward_path], outcome, now)

    def _retry(self, claim: Claim, delivery: ClaimedDelivery, verdict: Verdict, now: datetime) -> RetryAt | GiveUp:
        retry = next_attempt(
            self._settings.retry_plan,
            attempts=delivery.attempts + 1,
            first_queued=claim.message.waits_since,
            now=now,
            settled=self._context.clock.settled(),
            jitter=self._context.rand.jitter(),
        )
        return RetryAt(now + verdict.retry_in) if verdict.retry_in is not None and isinstance(retry, RetryAt) else retry

    async def _store_outcomes(self, claim: Claim, outcomes: Sequence[Outcome], now: datetime) -> bool:
        """Stores them however long it takes. False if they are not wanted any more."""
        context = self._context
        tries = 0
        has_new_ids = False
        try:
            while True:
                try:
                    await context.store.record_attempt(claim.lease, outcomes, now)
                    return True
                except LeaseLost:
                    log.warning("lease_lost", id=format_id(MESSAGE_PREFIX, claim.message.id), domain=claim.domain)
                    return False
                except StoreUnavailable as error:
                    if not tries:
                        self.unrecorded += 1
                    log.error("outcome_not_recorded", id=format_id(MESSAGE_PREFIX, claim.message.id), error=repr(error))
                    await context.clock.sleep(RECORD_BACKOFF[min(tries, len(RECORD_BACKOFF) - 1)])
                    tries += 1
                except Conflict:  # another process has made one of the ids
                    if has_new_ids:
                        raise
                    outcomes, has_new_ids = [self._with_new_ids(each) for each in outcomes], True
        finally:
            if tries:
                self.unrecorded -= 1

    def _with_new_ids(self, outcome: Outcome) -> Outcome:
        next_id = self._context.ids.next
        suppression = outcome.suppression
        return replace(
            outcome,
            events=tuple(replace(event, id=EventId(next_id())) for event in outcome.events),
            suppression=replace(suppression, id=SuppressionId(next_id())) if suppression else None,
        )


def _bounce(verdicts: dict[str, Verdict], deliveries: Sequence[ClaimedDelivery], enhanced: str, sentence: str) -> None:
    for each in deliveries:
        verdicts[each.forward_path] = local_verdict(Kind.BOUNCED, Category.CONTENT_REJECTED, enhanced, sentence)


def _is_open(verdict: Verdict | None) -> bool:
    """Nothing was said yet, or only something of a host that another may say otherwise."""
    return verdict is None or (verdict.disposition.kind is Kind.DEFERRED and verdict.disposition.scope in _SESSION_SCOPES)


def _is_decided(verdict: Verdict | None) -> bool:
    """No other attempt is needed."""
    return verdict is not None and verdict.disposition.kind is not Kind.DEFERRED


def _signal_of(deliveries: Sequence[ClaimedDelivery], verdicts: Mapping[str, Verdict]) -> Signal:
    """A server that says 421 to every MAIL, or hangs up, wants to be left alone no less than one that cannot be reached."""
    return Signal.BAD if all(_is_open(verdicts.get(each.forward_path)) for each in deliveries) else Signal.GOOD


def _give(verdicts: dict[str, Verdict], claim: Claim, verdict: Verdict) -> None:
    for delivery in claim.deliveries:
        verdicts.setdefault(delivery.forward_path, verdict)
