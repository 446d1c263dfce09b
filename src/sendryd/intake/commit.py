"""Step 5 of the door: quotas, one durable transaction, a line in the mail log, and the hand-off to the delivery engine."""

from collections.abc import Sequence

from sendryd.intake.assemble import Prepared
from sendryd.intake.handoff import Handoff
from sendryd.intake.idempotency import Idempotency
from sendryd.intake.quota import QuotaLedger
from sendryd.intake.submission import Origin
from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import API_KEY_PREFIX, ApiKeyId, format_id
from sendryd.policy.refusal import Refusal, RefusalKey
from sendryd.runtime.clock import Clock
from sendryd.runtime.log import get_logger
from sendryd.runtime.maillog import CAPTURED, TEST_INBOX, MailLog, outcome_fields
from sendryd.runtime.metrics import Metrics
from sendryd.runtime.wakeup import Doorbell
from sendryd.store.base import AcceptStore, Answer, Claim, ClaimedDelivery, Lease, NewMessage
from sendryd.store.errors import Changed, NotAllowed, NotFound, StoreError, StoreFull

log = get_logger("intake")


class Committer:
    """Calls `store.accept`, `store.accept_all` and `store.amend`; no other code does."""

    def __init__(
        self,
        store: AcceptStore,
        idempotency: Idempotency,
        *,
        clock: Clock,
        metrics: Metrics,
        mail_log: MailLog,
        wakeup: Doorbell,
        handoff: Handoff | None,
        quotas: QuotaLedger | None,
    ) -> None:
        self._store = store
        self._idempotency = idempotency
        self._clock = clock
        self._metrics = metrics
        self._accepted = {mode: metrics.accepted.labels(mode.value) for mode in KeyMode}
        self._mail_log = mail_log
        self._wakeup = wakeup
        self._handoff = handoff
        self._quotas = quotas

    async def commit(self, prepared: Sequence[Prepared], answer: Answer | None = None) -> Refusal | None:
        """Stores prepared messages and the answer to their request, all or nothing. Durable.

        Returns None, or the refusal. Raises `AlreadyAnswered`.
        """
        refusal = await self._commit(prepared, answer)
        if refusal is not None:
            for each in prepared:
                self.log_refusal(refusal, each.new.message.api_key_id, each.origin, len(each.new.deliveries))
        return refusal

    async def _commit(self, prepared: Sequence[Prepared], answer: Answer | None) -> Refusal | None:
        refusal = await self._take_quota(self._quotas, prepared) if self._quotas is not None else None
        if refusal is not None:
            return refusal
        news: list[NewMessage] = []
        try:
            for each in prepared:
                news.append(self._reserve(each.new))
            if len(news) == 1 and answer is None:
                await self._store.accept(news[0])
            else:
                await self._store.accept_all(news, answer, kept_since=self._idempotency.kept_since)
        except BaseException as error:
            self._give_back(prepared, news)
            if isinstance(error, StoreError):
                return unstored(error)
            raise
        for new, each in zip(news, prepared, strict=True):
            self._accepted[new.message.mode].inc()
            if self._mail_log.is_on:
                self._log_acceptance(new, each.origin)
            if new.lease and self._handoff:
                self._handoff.offer(new.lease, _claims(new, new.lease), new.content)
            else:
                self._wakeup.set()
        return None

    async def amend(self, prepared: Prepared, *, made_from: bytes | None = None) -> Refusal | None:
        """Replaces the scheduled message with the same id. It does not count for a quota again.

        Returns None, or the refusal. Raises `NotFound`; `NotAllowed` if sending has begun; `Changed` if another request changed its stored draft.
        """
        try:
            await self._store.amend(prepared.new, self._clock.now(), made_from=made_from)
        except (Changed, NotFound, NotAllowed):
            raise
        except StoreError as error:
            refusal = unstored(error)
            self.log_refusal(refusal, prepared.new.message.api_key_id, prepared.origin, len(prepared.new.deliveries))
            return refusal
        self._wakeup.set()
        return None

    # Quotas and the engine's room are taken before the commit, and returned if it fails.

    async def _take_quota(self, quotas: QuotaLedger, prepared: Sequence[Prepared]) -> Refusal | None:
        try:
            refusal = await quotas.take([each.new.message for each in prepared])
        except StoreError as error:
            return unstored(error)
        if refusal is not None:
            self._metrics.refused.labels(refusal.key.value).inc()
        return refusal

    def _reserve(self, new: NewMessage) -> NewMessage:
        """The message with its deliveries leased to this process's engine, if the engine has room."""
        message = new.message
        if self._handoff is None or message.mode is not KeyMode.LIVE or message.scheduled_at is not None:
            return new
        domains = [delivery.domain for delivery in new.deliveries if delivery.state is DeliveryState.QUEUED]
        if not domains:
            return new
        lease = self._handoff.reserve(domains, message.size, account_id=message.account_id, priority=new.priority)
        if lease is None:
            return new
        return new.leased(lease)

    def _give_back(self, prepared: Sequence[Prepared], reserved: Sequence[NewMessage]) -> None:
        if self._quotas is not None:
            self._quotas.give_back([each.new.message for each in prepared])
        for new in reserved:
            if new.lease and self._handoff:
                self._handoff.cancel_reservation(new.lease)

    # The mail log.

    def _log_acceptance(self, new: NewMessage, origin: Origin) -> None:
        mail_log, message = self._mail_log, new.message
        is_test = message.mode is KeyMode.TEST
        tls = origin.tls.version if origin.tls else None
        mail_log.accepted(message, recipients=len(new.deliveries), client=origin.address, tls=tls, door=_door(origin))
        for delivery in new.deliveries:
            event = CAPTURED.get(delivery.state)
            if event is not None:  # suppressed, or captured
                fields = outcome_fields(delivery.events[-1].metadata)
                if is_test:
                    fields["relay"] = TEST_INBOX
                mail_log.outcome(event, message, delivery.forward_path, {"delay": 0.0, **fields})

    def log_refusal(self, refusal: Refusal, key_id: ApiKeyId | None, origin: Origin, recipients: int) -> None:
        """Logs a refused message."""
        key = format_id(API_KEY_PREFIX, key_id) if key_id is not None else None
        self._mail_log.refused(refusal, door=_door(origin), client=origin.address, key=key, recipients=recipients)


def unstored(error: StoreError) -> Refusal:
    """The refusal for a fault of the store. The client gets a generic sentence; the log has the reason."""
    log.error("message_not_stored", error=repr(error))
    return Refusal(RefusalKey.STORAGE_FULL if isinstance(error, StoreFull) else RefusalKey.TEMPORARILY_UNAVAILABLE)


def _door(origin: Origin) -> str:
    return "rest" if origin.is_http else "smtp"


def _claims(new: NewMessage, lease: Lease) -> list[Claim]:
    by_domain: dict[str, list[ClaimedDelivery]] = {}
    for delivery in new.deliveries:
        if delivery.state is not DeliveryState.QUEUED:
            continue
        by_domain.setdefault(delivery.domain, []).append(
            ClaimedDelivery(
                id=delivery.id,
                forward_path=delivery.forward_path,
                domain=delivery.domain,
                attempts=0,
                is_in_doubt=False,
                notify=delivery.notify,
                orcpt=delivery.orcpt,
                priority=new.priority,
            )
        )
    return [
        Claim(message=new.message, domain=domain, deliveries=tuple(deliveries), lease=lease) for domain, deliveries in by_domain.items()
    ]
