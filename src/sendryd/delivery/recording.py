"""Recording of attempts: one outcome for each recipient, kept until the store has taken it.

Does: makes the outcomes of the verdicts, decides when a deferral is tried again, stores them, counts replies that no pattern knows, writes the mail log.
Writes: `store.record_attempt`, one transaction for each attempt.
When things fail: an outcome that the store cannot take now is kept and stored later, and the message is not sent again meanwhile. What the
store refuses is recorded delivery by delivery, as a failed attempt if need be. A lease that was lost means that another worker decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.outcome import NO_TRIES, Tries, is_throttled, make_outcome
from sendryd.delivery.outcomelog import log_outcome
from sendryd.delivery.unknownreplies import UnknownReplies
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, DeliveryId, EventId, SuppressionId, format_id
from sendryd.model.message import MessageClass
from sendryd.policy.replies.hints import LONGEST, retry_hint
from sendryd.policy.replies.verdict import Category, Kind, Verdict, local_verdict
from sendryd.policy.retry import GiveUp, RetryAt, RetryPlan, next_attempt, plan_for, throttled_plan
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.maillog import MailLog
from sendryd.runtime.rand import Rand
from sendryd.store.base import Claim, ClaimedDelivery, DeliveryStore, DialogueStore, Outcome
from sendryd.store.errors import Conflict, LeaseLost, StoreUnavailable

# Seconds between tries to store an outcome; the last one is repeated. Nothing is claimed meanwhile: mail flows this long after the store is back.
RECORD_BACKOFF: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
OUR_FAULT: Final = local_verdict(Kind.DEFERRED, Category.OTHER, "4.3.0", "Internal error")

_HINTED: Final = frozenset({Category.RATE_LIMITED, Category.GREYLISTED})  # replies that may say when to come back

log = get_logger("delivery")


class Recorder:
    """Stores the outcomes of attempts. One object serves all of them at once."""

    def __init__(
        self,
        store: DeliveryStore,
        dialogues: DialogueStore,
        *,
        plan: RetryPlan,
        clock: Clock,
        rand: Rand,
        ids: IdSource,
        mail_log: MailLog,
        backoff: Sequence[float] = RECORD_BACKOFF,
        unknown: UnknownReplies | None = None,
    ) -> None:
        self._store = store
        self._dialogues = dialogues
        self._plans = {priority: plan_for(plan, priority) for priority in MessageClass}
        self._clock = clock
        self._rand = rand
        self._ids = ids
        self._mail_log = mail_log
        self._backoff = backoff
        self._unknown = unknown
        self.unrecorded = 0  # attempts whose outcomes wait for the store

    async def record(self, attempt: Attempt) -> frozenset[DeliveryId]:
        """Store the outcomes of an attempt, however long that takes. Raises nothing but cancellation.

        A bug here is recorded as a failed attempt. Returns the deliveries for which the store refuses even that: they must not be tried again.
        """
        if not attempt.claim.deliveries:
            return frozenset()
        try:
            await self._record(attempt.claim, attempt.verdicts, self._keep_dialogue(attempt))
        except Exception:
            log.exception("attempt_not_recorded", id=format_id(MESSAGE_PREFIX, attempt.claim.message.id), domain=attempt.claim.domain)
            return await self._record_one_by_one(attempt)
        return frozenset()

    async def store(self, claim: Claim, outcomes: Sequence[Outcome], now: datetime) -> bool:
        """Stores outcomes, however long it takes. False if they are not wanted any more."""
        tries = 0
        has_new_ids = False
        try:
            while True:
                try:
                    await self._store.record_attempt(claim.lease, outcomes, now)
                    return True
                except LeaseLost:
                    log.warning("lease_lost", id=format_id(MESSAGE_PREFIX, claim.message.id), domain=claim.domain)
                    return False
                except StoreUnavailable as error:
                    if not tries:
                        self.unrecorded += 1
                    log.error("outcome_not_recorded", id=format_id(MESSAGE_PREFIX, claim.message.id), error=repr(error))
                    await self._clock.sleep(self._backoff[min(tries, len(self._backoff) - 1)])
                    tries += 1
                except Conflict:  # another process has made one of the ids
                    if has_new_ids:
                        raise
                    outcomes, has_new_ids = [self._with_new_ids(each) for each in outcomes], True
        finally:
            if tries:
                self.unrecorded -= 1

    def _keep_dialogue(self, attempt: Attempt) -> Tries:
        """Keeps what was said."""
        dialogue = attempt.notes.end()
        if dialogue is None:
            return NO_TRIES
        is_delivered = attempt.delivered() == len(attempt.verdicts)
        hosts = tuple(dict.fromkeys([session.host for session in dialogue.sessions]))
        return Tries(hosts, self._dialogues.add_dialogue(dialogue, is_delivered=is_delivered))

    async def _record(self, claim: Claim, verdicts: Mapping[str, Verdict], tries: Tries = NO_TRIES) -> None:
        now = self._clock.now()
        outcomes: list[Outcome] = []
        for delivery in claim.deliveries:
            verdict = verdicts[delivery.forward_path]
            retry = self._retry(claim, delivery, verdict, now) if verdict.kind is Kind.DEFERRED else None
            outcomes.append(make_outcome(delivery, verdict, retry, self._ids.next, tries))
        if not await self.store(claim, outcomes, now):
            return
        for delivery, outcome in zip(claim.deliveries, outcomes, strict=True):
            if self._unknown is not None:
                self._unknown.note(verdicts[delivery.forward_path], delivery.forward_path)
            log_outcome(self._mail_log, claim, delivery, verdicts[delivery.forward_path], outcome, now)

    async def _record_one_by_one(self, attempt: Attempt) -> frozenset[DeliveryId]:
        """Each delivery for itself: its outcome, or a failed attempt if that cannot be stored."""
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

    def _retry(self, claim: Claim, delivery: ClaimedDelivery, verdict: Verdict, now: datetime) -> RetryAt | GiveUp:
        plan, attempts, age = self._plans[delivery.priority], delivery.attempts + 1, now - claim.message.waits_since
        if is_throttled(verdict):
            plan, by_age = throttled_plan(plan, age)
            attempts = max(attempts, by_age)
        retry = next_attempt(
            plan,
            attempts=attempts,
            first_queued=claim.message.waits_since,
            now=now,
            settled=self._clock.settled(),
            jitter=self._rand.jitter(),
        )
        asked = verdict.retry_in
        if asked is None and verdict.reply is not None and verdict.category in _HINTED:
            asked = retry_hint(str(verdict.reply))
        if asked is None or not isinstance(retry, RetryAt):
            return retry
        # A server that always says "in five seconds" would be asked fifty thousand times.
        is_heeded = not is_throttled(verdict) or age < LONGEST
        return RetryAt(now + asked if is_heeded else max(now + asked, retry.moment))

    def _with_new_ids(self, outcome: Outcome) -> Outcome:
        next_id = self._ids.next
        suppression = outcome.suppression
        return replace(
            outcome,
            events=tuple(replace(event, id=EventId(next_id())) for event in outcome.events),
            suppression=replace(suppression, id=SuppressionId(next_id())) if suppression else None,
        )
