"""Messages, keys and leases to fill a store with."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DomainSettings, DomainStatus, SendingDomain
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, ApiKeyId, DeliveryId, DomainId, EventId, MessageId, WebhookId
from sendryd.model.message import Message, MessageClass
from sendryd.model.webhook import Webhook, WebhookEvent
from sendryd.store.base import Claim, ClaimedDelivery, Lease, NewApiKey, NewDelivery, NewDomain, NewEvent, NewMessage, Owner

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ACCOUNT = AccountId(1)
OWNER = Owner(node="local", boot=7)  # of the leases
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


class Samples:
    """Makes values with growing identifiers, as `runtime.idsource` does."""

    def __init__(self, now: datetime = NOW) -> None:
        self._next = (int((now - _EPOCH).total_seconds() * 1000) << 22) + 1

    def number(self) -> int:
        """The next identifier."""
        self._next += 1
        return self._next

    def event(self, event_type: EventType = EventType.QUEUED, metadata: Metadata | None = None) -> NewEvent:
        """An event to store."""
        return NewEvent(id=EventId(self.number()), type=event_type, metadata=metadata or {})

    def message(
        self,
        recipients: Sequence[str] = ("user@example.org",),
        *,
        mode: KeyMode = KeyMode.LIVE,
        created_at: datetime = NOW,
        due_at: datetime | None = None,
        lease: Lease | None = None,
        content: bytes = b"From: a@example.test\r\n\r\nbody\r\n",
        subject: str = "Hello",
        api_key_id: int = 1,
        account_id: AccountId = ACCOUNT,
        scheduled_at: datetime | None = None,
        source_request: bytes | None = None,
        priority: MessageClass = MessageClass.TRANSACTIONAL,
        lane: str = "",
    ) -> NewMessage:
        """A message with one delivery per recipient: captured in test mode, leased if `lease` is given, else queued. `lane`: that of a smart host."""
        state = DeliveryState.DELIVERED if mode is KeyMode.TEST else DeliveryState.QUEUED
        message = Message(
            id=MessageId(self.number()),
            account_id=account_id,
            api_key_id=ApiKeyId(api_key_id),
            mode=mode,
            reverse_path="bounces@example.test",
            author="A <a@example.test>",
            to=tuple(recipients),
            cc=(),
            subject=subject,
            internet_message_id="<1@example.test>",
            size=len(content),
            created_at=created_at,
            signing_domain_id=DomainId(1),
            needs_smtputf8=False,
            is_8bit=False,
            scheduled_at=scheduled_at,
        )
        deliveries = tuple(self._delivery(recipient, lane, state, due_at or message.waits_since) for recipient in recipients)
        return NewMessage(
            message=message, content=content, deliveries=deliveries, lease=lease, source_request=source_request, priority=priority
        )

    def _delivery(self, recipient: str, lane: str, state: DeliveryState, due_at: datetime) -> NewDelivery:
        domain = lane or recipient.rpartition("@")[2]
        number = DeliveryId(self.number())
        return NewDelivery(id=number, forward_path=recipient, domain=domain, state=state, due_at=due_at, events=(self.event(),))

    def lease(self, owner: Owner = OWNER) -> Lease:
        """A lease with a token of its own."""
        return Lease(token=self.number(), owner=owner)

    def api_key(self, *, secret_hash: bytes | None = None, mode: KeyMode = KeyMode.LIVE, account_id: AccountId = ACCOUNT) -> NewApiKey:
        """A key."""
        number = self.number()
        key = ApiKey(
            id=ApiKeyId(number),
            account_id=account_id,
            name="sample",
            scope=Scope.FULL_ACCESS,
            mode=mode,
            prefix="sn_live_abcd",
            created_at=NOW,
        )
        return NewApiKey(key=key, secret_hash=secret_hash or number.to_bytes(32, "big"))

    def domain(self, name: str = "example.test", account_id: AccountId = ACCOUNT) -> NewDomain:
        """A sending domain."""
        domain = SendingDomain(
            id=DomainId(self.number()),
            account_id=account_id,
            name=name,
            status=DomainStatus.PENDING,
            selector="sendry",
            public_key="key",
            settings=DomainSettings(),
            created_at=NOW,
        )
        return NewDomain(domain=domain, private_key=b"PEM")

    def webhook(
        self, *events: WebhookEvent, url: str = "https://example.org/hook", is_active: bool = True, account_id: AccountId = ACCOUNT
    ) -> Webhook:
        """A webhook that subscribes to `delivered`, or to the given events."""
        return Webhook(
            id=WebhookId(self.number()),
            account_id=account_id,
            url=url,
            events=events or (WebhookEvent.EMAIL_DELIVERED,),
            secret="whsec_c2VjcmV0",
            is_active=is_active,
            created_at=NOW,
            updated_at=NOW,
        )


def claim_of(new: NewMessage, lease: Lease) -> Claim:
    """The claim of a message to one domain, as the door hands it over."""
    deliveries = tuple(
        ClaimedDelivery(
            id=each.id,
            forward_path=each.forward_path,
            domain=each.domain,
            attempts=0,
            is_in_doubt=False,
            notify=each.notify,
            orcpt=each.orcpt,
            priority=new.priority,
        )
        for each in new.deliveries
    )
    return Claim(message=new.message, domain=deliveries[0].domain, deliveries=deliveries, lease=lease)
