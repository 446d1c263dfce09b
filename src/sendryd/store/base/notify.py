"""Webhooks and the outbox of notifications.

A fact is stored, once, in the commit of what it tells of: for each event of a message that webhooks may ask for, and for each `Notice`, if the
account has an active webhook. `fan_out` makes the notifications of it later: one for each webhook that asks for it, was there when it
happened, and is active.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookEvent
from sendryd.store.base.leases import Lease, Owner
from sendryd.store.base.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A fact that is no event of a message, for the webhooks that ask for it."""

    type: WebhookEvent
    body: Mapping[str, Any]  # the `data` of the payload: JSON
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedNotification:
    """A notification that a dispatcher holds, with where it goes."""

    notification: Notification
    webhook: Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationOutcome:
    """What an attempt to notify came to."""

    notification_id: NotificationId
    state: NotificationState  # DELIVERED, FAILED, or PENDING to try again
    due_at: datetime | None  # when to try again; only with PENDING
    status_code: int | None
    response: str  # at most 2,000 characters


class NotifyStore(Protocol):
    """What the API and the dispatcher do with webhooks."""

    async def add_webhook(self, webhook: Webhook, *, limit: int | None = None) -> None:
        """Stores a webhook. Durable. Raises `LimitReached` if the account would have more than `limit`; those that test keys made do not
        count against one of a live key.
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
        """Webhooks with this text in their URL (case-insensitive), newest first. Of those that keys of other modes than `whole_urls` made,
        the text is looked for in the scheme, host and port alone: a search must not tell what is not shown.
        """
        ...

    async def count_webhooks(
        self, account_id: AccountId, *, text: str | None = None, whole_urls: Collection[KeyMode] = frozenset(KeyMode)
    ) -> int:
        """How many webhooks the same filter lets through."""
        ...

    async def update_webhook(self, before: Webhook, webhook: Webhook) -> None:
        """Replaces URL, events, activity and health of a webhook. Durable. Raises `NotFound`, and `Changed` if it is not `before` any
        more: also if an attempt has changed its health, or the installation has switched it off.
        """
        ...

    async def remove_webhook(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        """Removes a webhook and all its notifications. Durable. Raises `NotFound`."""
        ...

    async def add_notification(self, account_id: AccountId, webhook_id: WebhookId, notice: Notice) -> Notification:
        """Owes a notice to one webhook, active or not: a test event. Durable. Raises `NotFound`."""
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
        """Notifications, newest first; with `made_by` those of webhooks that keys of this mode made."""
        ...

    async def get_notification(self, account_id: AccountId, notification_id: NotificationId) -> Notification | None:
        """One notification of an account."""
        ...

    async def replay(self, account_id: AccountId, notification_ids: Sequence[NotificationId], now: datetime) -> list[Notification]:
        """Owes the same facts to the same webhooks again, due now, each as a new notification with the old one's `origin_id`. Durable.
        Raises `NotFound` if any of them is unknown.
        """
        ...

    async def find_notifications(
        self, account_id: AccountId, webhook_id: WebhookId, *, start: datetime, end: datetime, is_failed: bool, limit: int
    ) -> list[NotificationId]:
        """Notifications of a webhook made from start to end, oldest first, without those that are replays themselves; only those given
        up if so asked.
        """
        ...

    async def fan_out(self, *, limit: int) -> int:
        """Makes the notifications of the oldest facts, in one transaction and about `limit` of them. Returns the number of facts; 0: none is left."""
        ...

    async def claim_notifications(
        self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[WebhookId], per_webhook: int
    ) -> list[ClaimedNotification]:
        """Leases up to `limit` due notifications of active webhooks, oldest due first, at most `per_webhook` of one and none of the busy
        ones; those of others are found however many wait for the busy ones.
        """
        ...

    async def return_dead_notifications(self, living: Owner) -> int:
        """Ends the leases of all other boots of this owner's node, which are dead: due as before. Returns how many."""
        ...

    async def return_notifications(self, owner: Owner, notification_ids: Sequence[NotificationId]) -> int:
        """Ends the owner's own leases of attempts that were cut off: due as before. Ignores those that the owner does not hold."""
        ...

    async def bring_notifications_forward(self, *, now: datetime, latest: datetime) -> int:
        """Makes pending notifications due now that are due after `latest`: their due times are of another clock. Returns how many."""
        ...

    async def list_leased_notifications(self, owner: Owner) -> list[NotificationId]:
        """The notifications that this owner has leased."""
        ...

    async def record_notification(self, lease: Lease, outcome: NotificationOutcome, now: datetime) -> Webhook | None:
        """Stores what an attempt came to; counts it. A success ends the webhook's failing time, a failed attempt begins it if it has not
        begun. Returns the webhook as it is now, None if it is gone. As with mail, a lease that was returned counts until somebody else
        leases the notification; then `LeaseLost` is raised.
        """
        ...

    async def disable_webhook(self, webhook_id: WebhookId, reason: str, now: datetime) -> None:
        """Switches a webhook off for the installation and gives up what it is still owed. Nothing if it is gone or off."""
        ...

    async def notification_due_at(self, *, busy: frozenset[WebhookId] = frozenset()) -> datetime | None:
        """When the next notification of an active webhook that is not busy falls due; None if none waits."""
        ...

    async def delete_notifications(self, *, created_before: datetime, limit: int) -> int:
        """Deletes notifications, oldest first. Returns how many."""
        ...
