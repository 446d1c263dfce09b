"""Withholding: deliveries that are not attempted, and why.

Does: ends deliveries to addresses that were suppressed or unsubscribed since the message was accepted; holds those that cannot be sent until
an operator repairs what is wrong: a removed sending domain, a damaged signing key, a damaged content; queues those again that cannot be read now.
Writes: outcomes that count no attempt.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from sendryd.delivery.attempt import Attempt
from sendryd.delivery.recording import Recorder
from sendryd.delivery.signer import SigningKeyDamaged, SigningKeyMissing
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import MESSAGE_PREFIX, EventId, format_id
from sendryd.model.message import MessageType
from sendryd.model.suppression import SuppressionReason
from sendryd.policy.address_key import normalise_address
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.log import get_logger
from sendryd.runtime.maillog import MailLog
from sendryd.store.base import Claim, MailStore, NewEvent, Outcome
from sendryd.store.errors import ContentDamaged, NotFound, StoreError

CONTENT_DAMAGED: Final = "The stored content of the message is missing or damaged"  # for the account; the log and the queue name the file
SIGNING_KEY_DAMAGED: Final = "The stored signing key of the sending domain is damaged"
KEY_ADVICE: Final = "repair the row of the domain from a backup, then release the message with sendryd queue release"
DAMAGE_ADVICE: Final = "restore the file of the spool from a backup, then release the message with sendryd queue release"
NOT_READ: Final = "The message could not be read"
PUT_BACK: Final = timedelta(seconds=30)  # until mail is tried again that could not be read

log = get_logger("delivery")


class Withholder:
    """Ends or holds deliveries without an attempt."""

    def __init__(self, store: MailStore, recorder: Recorder, *, clock: Clock, ids: IdSource, mail_log: MailLog) -> None:
        self._store = store
        self._recorder = recorder
        self._clock = clock
        self._ids = ids
        self._mail_log = mail_log
        self.damaged = 0  # deliveries held because their content or their domain's key is damaged

    async def skip_suppressed(self, claim: Claim) -> Claim:
        """The claim without the deliveries whose addresses get no mail any more; those are recorded as suppressed."""
        skipped = await self._find_suppressed(claim)
        if not skipped:
            return claim
        outcomes = []
        for delivery in claim.deliveries:
            reason = skipped.get(normalise_address(delivery.forward_path))
            if reason is not None:
                event = NewEvent(id=EventId(self._ids.next()), type=EventType.SUPPRESSED, metadata={"reason": reason})
                outcomes.append(
                    Outcome(
                        delivery_id=delivery.id,
                        state=DeliveryState.SUPPRESSED,
                        due_at=None,
                        reply="The address is suppressed" if reason == "suppressed" else "The recipient has unsubscribed",
                        events=(event,),
                        is_attempt=False,
                    )
                )
        if not await self._recorder.store(claim, outcomes, self._clock.now()):
            return replace(claim, deliveries=())
        self._log_skipped(claim, skipped)
        return replace(claim, deliveries=tuple(each for each in claim.deliveries if normalise_address(each.forward_path) not in skipped))

    async def hold_unsigned(self, attempt: Attempt, error: SigningKeyMissing) -> None:
        """The sending domain was removed: all recipients are held until it is verified again."""
        await self._hold(attempt.claim, HoldReason.DOMAIN_REMOVED, f"Held: {error}")
        attempt.leave_out(attempt.claim.deliveries)

    async def hold_for_key(self, attempt: Attempt, error: SigningKeyDamaged) -> None:
        """The signing key is damaged: all recipients are held until its row is repaired."""
        claim = attempt.claim
        reason = f"{error.domain}: {error.reason}"
        log.error("signing_key_damaged", id=format_id(MESSAGE_PREFIX, claim.message.id), reason=reason, advice=KEY_ADVICE)
        self.damaged += len(claim.deliveries)
        await self._hold(claim, HoldReason.SIGNING_KEY_DAMAGED, f"Held: {error}", event={"held": True, "reason": SIGNING_KEY_DAMAGED})
        attempt.leave_out(claim.deliveries)

    async def hold_for_content(self, attempt: Attempt, error: ContentDamaged | NotFound) -> None:
        """The content is damaged: the recipients that no server has decided on are held until its file is restored."""
        claim = attempt.claim
        log.error("content_damaged", id=format_id(MESSAGE_PREFIX, claim.message.id), reason=str(error), advice=DAMAGE_ADVICE)
        self.damaged += len(claim.deliveries)
        undecided = attempt.undecided()
        event = {"held": True, "reason": CONTENT_DAMAGED}
        await self._hold(replace(claim, deliveries=tuple(undecided)), HoldReason.CONTENT_DAMAGED, f"Held: {error}", event=event)
        attempt.leave_out(undecided)

    async def put_back(self, attempt: Attempt, error: StoreError | OSError) -> None:
        """What the attempt needs cannot be read now: the recipients that no server has spoken of are queued again, once the store takes that."""
        claim = attempt.claim
        log.error("content_not_read", id=format_id(MESSAGE_PREFIX, claim.message.id), error=repr(error))
        unheard = tuple(each for each in claim.deliveries if each.forward_path not in attempt.verdicts)
        if unheard:
            now = self._clock.now()
            outcomes = [
                Outcome(
                    delivery_id=each.id,
                    state=DeliveryState.QUEUED,
                    due_at=now + PUT_BACK,
                    reply=NOT_READ,
                    events=(),
                    is_attempt=False,
                )
                for each in unheard
            ]
            await self._recorder.store(replace(claim, deliveries=unheard), outcomes, now)
            attempt.leave_out(unheard)

    async def _find_suppressed(self, claim: Claim) -> dict[str, str]:
        """The normalised addresses of the claim that get no mail any more, each with its reason."""
        store, message = self._store, claim.message
        paths = sorted({normalise_address(each.forward_path) for each in claim.deliveries})
        skipped = dict.fromkeys(await store.find_suppressed(message.account_id, paths), "suppressed")
        if message.type is MessageType.MARKETING:
            for email in await store.find_unsubscribed(message.account_id, message.list_id, paths):
                skipped.setdefault(email, SuppressionReason.UNSUBSCRIBE.value)
        return skipped

    async def _hold(self, claim: Claim, reason: HoldReason, sentence: str, *, event: Metadata | None = None) -> None:
        """Holds the deliveries of a claim. `event` is what the account may know."""
        next_id = self._ids.next
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
        await self._recorder.store(claim, outcomes, self._clock.now())

    def _log_skipped(self, claim: Claim, skipped: Mapping[str, str]) -> None:
        for delivery in claim.deliveries:
            reason = skipped.get(normalise_address(delivery.forward_path))
            if reason is not None:
                self._mail_log.outcome("suppressed", claim.message, delivery.forward_path, {"relay": None, "reply": reason})
