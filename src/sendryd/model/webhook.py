"""Webhooks and their notifications."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sendryd.model.apikey import KeyMode
from sendryd.model.event import Event, EventType
from sendryd.model.ids import AccountId, NotificationId, WebhookId

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - prefix of every secret, by Standard Webhooks


class WebhookEvent(StrEnum):
    """The public event types of webhooks."""

    EMAIL_DELIVERED = "email.delivered"
    EMAIL_BOUNCED = "email.bounced"
    EMAIL_OPENED = "email.opened"
    EMAIL_CLICKED = "email.clicked"
    EMAIL_COMPLAINED = "email.complained"
    CONTACT_CREATED = "contact.created"
    CONTACT_UPDATED = "contact.updated"
    CONTACT_DELETED = "contact.deleted"
    DOMAIN_CREATED = "domain.created"
    DOMAIN_UPDATED = "domain.updated"
    DOMAIN_DELETED = "domain.deleted"
    AUTOMATION_RUN_STARTED = "automation.run.started"
    AUTOMATION_RUN_COMPLETED = "automation.run.completed"
    AUTOMATION_RUN_FAILED = "automation.run.failed"


MAIL_EVENTS: Final[Mapping[EventType, WebhookEvent]] = {
    EventType.DELIVERED: WebhookEvent.EMAIL_DELIVERED,
    EventType.BOUNCED: WebhookEvent.EMAIL_BOUNCED,
    EventType.OPENED: WebhookEvent.EMAIL_OPENED,
    EventType.CLICKED: WebhookEvent.EMAIL_CLICKED,
    EventType.COMPLAINED: WebhookEvent.EMAIL_COMPLAINED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An endpoint of an account."""

    id: WebhookId
    account_id: AccountId
    url: str
    events: tuple[WebhookEvent, ...]
    secret: str  # SECRET_PREFIX and base 64; readable again by live keys with full access
    is_active: bool
    created_at: datetime
    updated_at: datetime
    failing_since: datetime | None = None  # time of the first failure since the last success
    disabled_reason: str | None = None  # set when sendryd disabled it; None: the account did, or it is active
    mode: KeyMode = KeyMode.LIVE  # TEST: made by a test key, gets events of test mail alone; a live one gets both
    previous_secret: str | None = None  # the one before the last rotation
    previous_until: datetime | None = None  # until then it signs too

    def second_secret(self, now: datetime) -> str | None:
        """The secret before the last rotation, as long as it is valid beside the present one."""
        return self.previous_secret if self.previous_until is not None and now < self.previous_until else None


class NotificationState(StrEnum):
    """The state of a notification."""

    PENDING = "pending"
    LEASED = "leased"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One fact for one webhook: an event of a message, or a body of its own."""

    id: NotificationId
    webhook_id: WebhookId
    account_id: AccountId
    type: WebhookEvent
    event: Event | None  # of a message; None: `body` has the fact
    mode: KeyMode  # of the message; live for other facts
    body: Mapping[str, Any] | None  # the `data` of the payload where there is no event
    origin_id: NotificationId  # id of the first notification of this fact to this webhook; the same for replays
    state: NotificationState
    attempts: int
    due_at: datetime
    status_code: int | None  # of the last answer; None: there was none
    response: str  # beginning of the last answer, or the failure: at most 2,000 characters, text of strangers
    delivered_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAttempt:
    """One request for a notification, and the answer."""

    started_at: datetime
    duration_ms: int  # until the status was known, or the request failed
    url: str
    headers: Mapping[str, str]  # of the request, as it was sent
    status_code: int | None  # None: there was no answer
    content_type: str  # of the answer; text of strangers, as is `response`
    response: str  # beginning of the answer: at most 2,000 characters
    fault: str  # why there was no answer; empty if there was one
    number: int = 0  # counted from 1; a replay begins at 1 again; the store sets it

    @property
    def is_success(self) -> bool:
        """Whether the answer was 2xx."""
        return self.status_code is not None and 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookReplay:
    """How far a replay of failing notifications is."""

    total: int  # counted when it began
    unmade: int  # that are not due yet
    waiting: int  # that are due, and not answered yet
    delivered: int
    failed: int  # that were given up once more
    made_by: str
    created_at: datetime

    @property
    def left(self) -> int:
        """The number that falls."""
        return self.unmade + self.waiting
