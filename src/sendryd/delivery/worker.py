"""Worker: one claim. Sign, try the hosts of its next hop in order, record the outcome of each recipient.

Does: delivers a message to recipients of one next hop in one transaction, and stores one outcome for each of them.
Reads: the content, the sending domain's key.
Writes: `store.record_attempt`, once, as soon as the outcome is known and before anything else.
Strategy: hosts by preference, addresses in order, in later attempts the silent ones last; a failure that speaks of the host or the session goes
on to the next one, one that speaks of the message or the recipient does not. What happens at one host is in `delivery.visit`, what is tried when
its TLS fails in `delivery.tls_fallback`.
When things fail: an outcome that the store cannot take is kept and stored later; the message is not sent again meanwhile. Mail that the store cannot
give now is queued again, with no attempt counted. A lease that was
lost means that another worker decides: nothing is stored.
Limits: those of a transaction are in `delivery.grouping`; what the receivers may take is in `smtp.timeouts` and `delivery.patience`.
Standards: RFC 5321, RFC 7505, RFC 7435, RFC 6152, RFC 6531.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.connector import Connector
from sendryd.delivery.contents import Contents
from sendryd.delivery.destinations import Destinations, NoRoute
from sendryd.delivery.dialogue import Timeouts
from sendryd.delivery.dialoguenotes import AttemptNotes
from sendryd.delivery.egress import ANY_ADDRESS, Departure, Egress
from sendryd.delivery.patience import Patience
from sendryd.delivery.plan import Turn, authenticate_smart_host, plan
from sendryd.delivery.pool import ConnectionPool
from sendryd.delivery.recording import OUR_FAULT, RECORD_BACKOFF, Recorder
from sendryd.delivery.returnpaths import ReturnPaths
from sendryd.delivery.securing import TlsContexts
from sendryd.delivery.shaper import Shaper
from sendryd.delivery.signer import Signer, SigningKeyDamaged, SigningKeyMissing
from sendryd.delivery.silence import Silences
from sendryd.delivery.sites import Sites
from sendryd.delivery.smarthosts import OwnSmartHosts
from sendryd.delivery.target import Target
from sendryd.delivery.tls_fallback import TlsFallback
from sendryd.delivery.tls_memory import TlsMemory
from sendryd.delivery.tls_results import Observer, TlsResults
from sendryd.delivery.transcript import Tracer
from sendryd.delivery.transport import Connection
from sendryd.delivery.unknownreplies import UnknownReplies
from sendryd.delivery.visit import Visit
from sendryd.delivery.withholding import Withholder
from sendryd.model.apikey import KeyMode
from sendryd.model.domain import TlsPolicy
from sendryd.model.ids import MESSAGE_PREFIX, DeliveryId, format_id
from sendryd.model.message import TlsDemand
from sendryd.policy.detour import pool_of_detour
from sendryd.policy.replies.verdict import Category, Kind, Verdict, local_verdict
from sendryd.policy.retry import RetryPlan
from sendryd.policy.routing import NextHop
from sendryd.policy.throttle import Signal
from sendryd.policy.tls import ENCRYPTED, ENCRYPTED_WEAK, TlsRequirement
from sendryd.policy.tlspolicy import Unmet, demand
from sendryd.runtime.budget import BudgetExhausted
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.rand import Rand
from sendryd.store.base import Claim, ClaimedDelivery, DialogueStore, MailStore
from sendryd.store.errors import ContentDamaged, NotFound, StoreError

Visitor = Callable[[Target, Patience, Sequence[ClaimedDelivery]], Awaitable[Signal]]  # of one target, for these recipients

log = get_logger("delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What delivery needs to know of the installation."""

    hostname: str
    allow_private_networks: bool
    retry_plan: RetryPlan
    timeouts: Timeouts
    return_paths: ReturnPaths = field(default_factory=ReturnPaths)
    patience: Callable[[], Patience] = Patience  # of each attempt
    record_backoff: Sequence[float] = RECORD_BACKOFF


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
    dialogues: DialogueStore
    egress: Egress
    shaper: Shaper | None = None  # None: without rules
    tls_results: TlsResults | None = None  # None: no reports are made of them
    unknown: UnknownReplies | None = None  # None: replies that no pattern knows are not counted


class Worker:
    """Carries out claims. One object serves all of them at once."""

    def __init__(self, context: WorkerContext, settings: WorkerSettings) -> None:
        clock, ids, mail_log = context.clock, context.ids, context.mail_log
        self._contents = context.contents
        self._destinations = context.destinations
        self._signer = context.signer
        self._egress = context.egress
        self._smart_hosts = OwnSmartHosts(context.store, context.signer, context.destinations, context.egress)
        self._clock = clock
        self._tls_results = context.tls_results
        self._settings = settings
        self._silences = Silences()
        self._connector = Connector(
            hello_name=settings.hostname,
            timeouts=settings.timeouts,
            contexts=context.contexts,
            pool=context.pool,
            tracer=context.tracer,
            silences=self._silences,
            clock=clock,
            shaper=context.shaper or Shaper(Sites(), clock),
        )
        self._sites = self._connector.shaper.sites
        self._recorder = Recorder(
            context.store,
            context.dialogues,
            plan=settings.retry_plan,
            clock=clock,
            rand=context.rand,
            ids=ids,
            mail_log=mail_log,
            backoff=settings.record_backoff,
            unknown=context.unknown,
        )
        self._withholder = Withholder(context.store, self._recorder, clock=clock, ids=ids, mail_log=mail_log)
        self.tls_memory = TlsMemory()

    @property
    def unrecorded(self) -> int:
        """Attempts whose outcomes wait for the store."""
        return self._recorder.unrecorded

    @property
    def damaged(self) -> int:
        """Deliveries held because their content or their domain's key is damaged."""
        return self._withholder.damaged

    async def attempt(self, claim: Claim, content: bytes | None, route: NextHop | NoRoute) -> Attempt:
        """One attempt for the recipients of one transaction. `content` saves reading it. Without a route the outcome is what that means.
        Raises nothing but cancellation.

        The attempt has to be given to `record` before anything else is done for these recipients.
        """
        attempt = Attempt(claim, AttemptNotes(self._clock.now(), self._clock.monotonic))
        try:
            if content is None:  # it has waited: its recipients may have been suppressed since it was accepted
                attempt.claim = claim = await self._withholder.skip_suppressed(claim)
                if not claim.deliveries:
                    return attempt
            if claim.message.mode is not KeyMode.LIVE:
                raise AssertionError("a test message reached the delivery engine")
            found = await self._smart_hosts.route(claim, route)
            if isinstance(found, Verdict):
                attempt.judge_rest(found)
                return attempt
            route = found
            if isinstance(route, NoRoute):
                for each in claim.deliveries:
                    attempt.verdicts[each.forward_path] = self._destinations.judge(route, claim.domain, each)
            else:
                attempt.signal = await self._try_hosts(attempt, content, route)
        except Exception as error:
            await self._end(attempt, error)
        return attempt

    async def record(self, attempt: Attempt) -> frozenset[DeliveryId]:
        """Store the outcomes of an attempt, however long that takes. Raises nothing but cancellation.

        Returns the deliveries for which the store refuses every outcome: they must not be tried again.
        """
        return await self._recorder.record(attempt)

    async def _try_hosts(self, attempt: Attempt, content: bytes | None, next_hop: NextHop) -> Signal:
        """Visits hosts until none has anything left to say."""
        claim = attempt.claim
        domain_id = claim.message.signing_domain_id
        if domain_id is None:
            raise SigningKeyMissing("the message has no sending domain")
        key = await self._signer.key(domain_id)
        departure = (
            self._egress.departure(pool_of_detour(claim.detour) or key.pool, claim.message) if next_hop.smart_host is None else ANY_ADDRESS
        )
        reachable = departure.reachable(next_hop)
        if isinstance(reachable, Verdict):
            attempt.judge_rest(reachable)
            return Signal.NEUTRAL
        next_hop = reachable
        has_policies = self._tls_results is not None and next_hop.smart_host is None
        observer = Observer(self._tls_results, claim.domain, next_hop) if has_policies and self._tls_results is not None else None
        targets = self._plan(claim, next_hop, observer, is_tls_enforced=key.tls_policy is TlsPolicy.ENFORCED)
        if isinstance(targets, Verdict):
            attempt.judge_rest(targets)
            return Signal.NEUTRAL
        letter = self._contents.letter(claim, key, content)
        sender = self._settings.return_paths.sender(claim.message, key.return_path)

        async def visit(target: Target, patience: Patience, deliveries: Sequence[ClaimedDelivery]) -> Signal:
            fallback = TlsFallback(self.tls_memory, is_fixed=next_hop.smart_host is not None)
            visit = Visit(
                attempt,
                target,
                letter,
                sender=sender,
                connector=self._connector,
                fallback=fallback,
                patience=patience,
                observer=observer,
                departure=departure,
            )
            try:
                return await visit.run(deliveries)
            finally:
                letter.put_down()

        try:
            return await self._visit_all(attempt, targets, visit, departure)
        finally:
            departure.settle(attempt.verdicts.values())

    async def _visit_all(self, attempt: Attempt, targets: Sequence[Target], visit: Visitor, departure: Departure) -> Signal:
        """Visits the targets in order, as long as recipients are open."""
        signals: list[Signal] = []
        patience = self._settings.patience()
        for position, planned in enumerate(targets):
            if position and patience.is_spent:
                break
            patience.addresses = len(targets) - position
            deliveries = attempt.open_deliveries()
            if not deliveries:
                break
            target = departure.leave(planned, len(deliveries))
            if target is not None:
                signals.append(await visit(target, patience, deliveries))
        if not departure.is_open:
            attempt.judge_rest(departure.verdict())
        return Signal.GOOD if Signal.GOOD in signals else Signal.BAD if Signal.BAD in signals else Signal.NEUTRAL

    def _plan(self, claim: Claim, next_hop: NextHop, observer: Observer | None, *, is_tls_enforced: bool) -> list[Target] | Verdict:
        now = self._clock.monotonic()
        turn = Turn(max([each.attempts for each in claim.deliveries]), claim.message.id)
        demands: Mapping[str, TlsRequirement] = {}
        if next_hop.smart_host is None:
            found = self._demand_tls(claim, next_hop, observer, now, is_retry=turn.number > 0, is_tls_enforced=is_tls_enforced)
            if isinstance(found, Verdict):
                return found
            demands = found
            if len(demands) < len(next_hop.hosts):
                next_hop = replace(next_hop, hosts=tuple(host for host in next_hop.hosts if host.name in demands))
        targets = plan(next_hop, turn, requirement=demands.__getitem__, allow_private=self._settings.allow_private_networks)
        if targets and next_hop.smart_host is not None and claim.message.tls_demand is TlsDemand.REQUIRED:
            return authenticate_smart_host(targets)
        if not targets and next_hop.smart_host is not None:
            sentence = f"The smart host {next_hop.smart_host.host} is at a private or reserved address, which only an operator may set"
            return local_verdict(Kind.DEFERRED, Category.ROUTING_ERROR, "4.4.4", sentence)
        if not targets:
            sentence = f"All mail servers of {claim.domain} are at private or reserved addresses, where mail is not sent"
            return local_verdict(Kind.BOUNCED, Category.ROUTING_ERROR, "5.4.4", sentence)
        return self._silences.put_last(targets, now) if turn.number else targets

    def _demand_tls(
        self, claim: Claim, next_hop: NextHop, observer: Observer | None, now: float, *, is_retry: bool, is_tls_enforced: bool
    ) -> Mapping[str, TlsRequirement] | Verdict:
        """What each mail server must give, by its name, without those that may get nothing; a verdict if none is left."""
        is_tls_ruled = self._sites.limits_of(claim.domain, next_hop.mx).is_tls_required

        def otherwise(host: str) -> TlsRequirement:
            found = self.tls_memory.requirement(host, now, is_retry=is_retry)
            return (ENCRYPTED_WEAK if found.allows_weak else ENCRYPTED) if is_tls_ruled else found

        asked = {
            host: demand(
                claim.domain,
                host,
                next_hop.sts,
                is_enforced=is_tls_enforced,
                otherwise=otherwise,
                asked=claim.message.tls_demand,
                tries_policies=observer is not None,
            )
            for host in next_hop.hosts
        }
        unmet = [each for each in asked.values() if isinstance(each, Unmet)]
        if observer is not None:
            for host in (host for host, each in asked.items() if isinstance(each, Unmet) and not each.is_final):
                observer.note_unmet(host.name)
        demands = {host.name: each for host, each in asked.items() if not isinstance(each, Unmet)}
        return min(unmet, key=lambda each: each.is_final).verdict() if unmet and not demands else demands

    async def _end(self, attempt: Attempt, error: Exception) -> None:
        """Ends an attempt that could not be carried out: holds its deliveries, or defers those that have no verdict."""
        claim = attempt.claim
        number = format_id(MESSAGE_PREFIX, claim.message.id)
        match error:
            case SigningKeyMissing():
                await self._withholder.hold_unsigned(attempt, error)
            case SigningKeyDamaged():
                await self._withholder.hold_for_key(attempt, error)
            case ContentDamaged() | NotFound():
                await self._withholder.hold_for_content(attempt, error)
            case BudgetExhausted():
                log.warning("content_waits_for_memory", id=number, error=str(error))
                sentence = "Too many large messages are being sent at once"
                attempt.judge_rest(local_verdict(Kind.DEFERRED, Category.OTHER, "4.3.1", sentence))
            case StoreError() | OSError():
                await self._withholder.put_back(attempt, error)
            case _:
                log.error("attempt_failed", id=number, domain=claim.domain, exc_info=error)
                attempt.judge_rest(OUR_FAULT)
