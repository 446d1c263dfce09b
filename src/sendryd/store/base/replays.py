"""Attempts of webhook notifications, and replays of those that fail.

A notification *fails* if it was given up, or its last attempt was not answered with success and it is tried again. A fact that was replayed as a
notification of its own counts by its newest notification alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sendryd.model.ids import AccountId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, WebhookAttempt, WebhookEvent, WebhookReplay
from sendryd.store.base.notify import NotifyStore
from sendryd.store.base.paging import Page


class Standing(StrEnum):
    """Which notifications of a webhook are wanted."""

    FAILING = "failing"
    WAITING = "waiting"  # not answered yet, or being sent


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFilter:
    """Conditions that notifications of a webhook meet. None: any."""

    standing: Standing | None = None
    type: WebhookEvent | None = None
    status_code: int | None = None  # of the last answer
    start: datetime | None = None  # made at or after it
    end: datetime | None = None  # made at or before it


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookHealth:
    """The newest attempts of a webhook in figures."""

    attempts: int
    successes: int
    durations: tuple[int, ...]  # milliseconds of those that were answered, in ascending order


class ReplayStore(NotifyStore, Protocol):
    """The operations on attempts and replays."""

    async def list_webhook_attempts(
        self, account_id: AccountId, notification_ids: Sequence[NotificationId], *, is_last: bool = False
    ) -> Mapping[NotificationId, Sequence[WebhookAttempt]]:
        """The kept attempts of notifications of an account, newest first: the last 20 of each, or the last one. Notifications without any are
        left out.
        """
        ...

    async def read_webhook_health(self, account_id: AccountId, webhook_id: WebhookId, *, since: datetime, limit: int) -> WebhookHealth:
        """Figures of the attempts since a time, of at most `limit`, the newest."""
        ...

    async def search_notifications(
        self, account_id: AccountId, webhook_id: WebhookId, which: NotificationFilter, *, limit: int, before: NotificationId | None = None
    ) -> Page[Notification]:
        """Notifications of a webhook that match, newest first. Raises `TookTooLong`."""
        ...

    async def count_notifications(
        self, account_id: AccountId, webhook_id: WebhookId, which: NotificationFilter, *, limit: int | None = None
    ) -> int:
        """Number of failing or waiting notifications that match, at most `limit`; the filter has a standing. Raises `TookTooLong`."""
        ...

    async def send_again(
        self, account_id: AccountId, webhook_id: WebhookId, notification_ids: Sequence[NotificationId], now: datetime
    ) -> int:
        """Makes failing ones of these notifications due now with all their tries, and adds a notification of the same fact for each delivered one.
        Returns how many. Those that wait, and those of other webhooks, are left alone. Durable.
        """
        ...

    async def add_replay(self, account_id: AccountId, webhook_id: WebhookId, which: NotificationFilter, *, by: str, now: datetime) -> int:
        """Stores the wish to send all failing notifications again that match, and returns their number. `which` has a start and an end.
        `work_off_replays` carries it out. Ends and forgets an earlier replay of the webhook. Durable. Raises `NotFound`, `TookTooLong`.
        """
        ...

    async def work_off_replays(self, *, now: datetime, limit: int) -> list[WebhookId]:
        """Makes the next failing notifications of each unfinished replay due now with all their tries, at most `limit` of each. Each is made due
        once, also by several dispatchers. Returns the webhooks whose replays went on.
        """
        ...

    async def get_replay(self, account_id: AccountId, webhook_id: WebhookId) -> WebhookReplay | None:
        """How far the last replay of a webhook is; None if there was none."""
        ...
