"""Webhooks and the outbox of notifications.

Each event of a message that webhooks may subscribe to, and each `Notice`, is stored once as a fact, in the commit of what it reports, if the
account has an active webhook. `fan_out` later makes one notification of it for each active webhook that subscribes to it and existed when it
happened.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, MessageId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookAttempt, WebhookEvent
from sendryd.store.base.leases import Lease, Owner
from sendryd.store.base.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact that is not an event of a message, for the webhooks that subscribe to it."""

    type: WebhookEvent
    body: Mapping[str, Any]  # the `data` of the payload: JSON
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedNotification:
    """A notification that a dispatcher has leased, with its webhook."""

    notification: Notification
    webhook: Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationOutcome:
    """The outcome of an attempt to notify."""

    notification_id: NotificationId
    state: NotificationState  # DELIVERED, FAILED, or PENDING to try again
    due_at: datetime | None  # when to try again; only with PENDING
    status_code: int | None
    response: str  # at most 2,000 characters
    attempt: WebhookAttempt | None = None  # the request, to be kept; None: none was made


class NotifyStore(Protocol):
    """The operations of the API and the dispatcher on webhooks."""

    async def add_webhook(self, webhook: Webhook, *, limit: int | None = None) -> None:
        """Stores a webhook. Durable. Raises `LimitReached` if the account would have more than `limit`; webhooks that test keys made do not count
        towards the limit of live keys.
        """
        ...

    async def get_webhook(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook | None:
        """One webhook of an account."""
        ...

    async def page_webhooks(
        self,
        account_id: AccountId,
        *,
        text: str | None = None,
        whole_urls: Collection[KeyMode] = frozenset(KeyMode),
        limit: int,
        before: WebhookId | None = None,
    ) -> Page[Webhook]:
        """Webhooks with this text in their URL (case-insensitive), newest first. For webhooks that keys of a mode other than `whole_urls` made,
        only scheme, host and port are searched: a search must not reveal the hidden part of a URL.
        """
        ...

    async def count_webhooks(
        self, account_id: AccountId, *, text: str | None = None, whole_urls: Collection[KeyMode] = frozenset(KeyMode)
    ) -> int:
        """Number of webhooks that match the filter."""
        ...

    async def update_webhook(self, before: Webhook, webhook: Webhook) -> None:
        """Replaces URL, events, secrets, activity and health of a webhook. Durable. Raises `NotFound`, and `Changed` if the stored webhook is not `before`:
        also if an attempt has changed its health, or the installation has switched it off.
        """
        ...

    async def remove_webhook(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        """Removes a webhook and all its notifications. Durable. Raises `NotFound`."""
        ...

    async def add_notification(self, account_id: AccountId, webhook_id: WebhookId, notice: Notice) -> Notification:
        """Adds a notification of a notice for one webhook, active or not: a test event. Durable. Raises `NotFound`."""
        ...

    async def page_notifications(
        self,
        account_id: AccountId,
        *,
        webhook_id: WebhookId | None = None,
        made_by: KeyMode | None = None,
        limit: int,
        before: NotificationId | None = None,
    ) -> Page[Notification]:
        """Notifications, newest first; with `made_by`, those of webhooks that keys of this mode made."""
        ...

    async def list_notifications_of(self, account_id: AccountId, message_id: MessageId, *, limit: int) -> list[Notification]:
        """Notifications of a message's events, newest first."""
        ...

    async def get_notification(self, account_id: AccountId, notification_id: NotificationId) -> Notification | None:
        """One notification of an account."""
        ...

    async def replay(self, account_id: AccountId, notification_ids: Sequence[NotificationId], now: datetime) -> list[Notification]:
        """Adds new notifications of the same facts for the same webhooks, due now, each with the old one's `origin_id`. Durable. Raises `NotFound`
        if any id is unknown.
        """
        ...

    async def find_notifications(
        self, account_id: AccountId, webhook_id: WebhookId, *, start: datetime, end: datetime, is_failed: bool, limit: int
    ) -> list[NotificationId]:
        """Notifications of a webhook made from start to end, oldest first, without replays; on request only failed ones."""
        ...

    async def fan_out(self, *, limit: int) -> int:
        """Makes the notifications of the oldest facts, about `limit` of them in one transaction. Returns the number of facts; 0: none is left."""
        ...

    async def claim_notifications(
        self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[WebhookId], per_webhook: int
    ) -> list[ClaimedNotification]:
        """Leases up to `limit` due notifications of active webhooks, oldest due first, at most `per_webhook` of one and none of the busy ones.
        Waiting notifications of busy webhooks never hide those of others.
        """
        ...

    async def return_dead_notifications(self, living: Owner) -> int:
        """Ends the leases of all other boots of this owner's node, which are dead; due times stay. Returns how many."""
        ...

    async def return_notifications(self, owner: Owner, notification_ids: Sequence[NotificationId]) -> int:
        """Ends the owner's own leases of interrupted attempts; due times stay. Ignores notifications that the owner does not hold."""
        ...

    async def bring_notifications_forward(self, *, now: datetime, latest: datetime) -> int:
        """Makes pending notifications that are due after `latest` due now: their due times were computed with a clock that was wrong. Returns how
        many.
        """
        ...

    async def list_leased_notifications(self, owner: Owner) -> list[NotificationId]:
        """The notifications that this owner has leased."""
        ...

    async def record_notification(self, lease: Lease, outcome: NotificationOutcome, now: datetime) -> Webhook | None:
        """Stores the outcome of an attempt with the attempt itself, and counts it. A success ends the webhook's failing time; a failed attempt
        begins it. Returns the webhook as it is now, None if it is gone. As with mail, a returned lease counts until another dispatcher leases
        the notification; then `LeaseLost` is raised.
        """
        ...

    async def disable_webhook(self, webhook_id: WebhookId, reason: str, now: datetime) -> None:
        """Switches a webhook off for the installation and fails its pending notifications. Does nothing if it is gone or off."""
        ...

    async def notification_due_at(self, *, busy: frozenset[WebhookId] = frozenset()) -> datetime | None:
        """When the next notification of an active webhook that is not busy falls due; None if there is none."""
        ...

    async def delete_notifications(self, *, created_before: datetime, limit: int) -> int:
        """Deletes notifications with their attempts, oldest first. Returns how many."""
        ...
