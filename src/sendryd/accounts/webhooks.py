"""Operations on webhooks: creating, changing, removing, testing and replaying.

The store queues deliveries with the events they report; the operations here queue only tests and replays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from sendryd.accounts.audit import AuditedChanges, changes
from sendryd.accounts.changes import reapply
from sendryd.accounts.errors import BadField
from sendryd.model.actor import Actor
from sendryd.model.ids import WEBHOOK_PREFIX, NotificationId, WebhookId, format_id
from sendryd.model.moment import timestamp
from sendryd.model.webhook import SECRET_PREFIX, Notification, Webhook, WebhookEvent
from sendryd.policy.permissions import check_change
from sendryd.policy.urlguard import UrlRefused, check_url, origin_of
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import Rand
from sendryd.store.base import AuditStore, Notice, NotifyStore
from sendryd.store.errors import NotAllowed, NotFound

SECRET_LENGTH: Final = 44  # letters and digits: base 64 of 33 octets without padding; Standard Webhooks asks for 24 to 64 octets
MAX_WEBHOOKS: Final = 50  # of an account: each is owed every event that it asks for, so the cost of an event grows with them
MAX_REPLAY: Final = 10_000  # notifications of one call: what a busy endpoint takes in minutes
REPLAY_BATCH: Final = 500  # notifications in one transaction: a few milliseconds
TEST_RECIPIENT: Final = "test@example.com"
MAX_SHOWN: Final = 40  # characters of an unknown word in the sentence about it: every event is shorter


def new_secret(rand: Rand) -> str:
    """Make a signing secret."""
    return SECRET_PREFIX + rand.secret(SECRET_LENGTH)


class BadWebhook(BadField):
    """The webhook cannot be as asked; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """The fields of a webhook to change; None: the field stays."""

    url: str | None = None
    events: Sequence[str] | None = None
    is_active: bool | None = None


class AuditedNotifyStore(NotifyStore, AuditStore, Protocol):
    """Webhooks, and the audit of their changes."""


class Webhooks(AuditedChanges[AuditedNotifyStore]):
    """Creates, changes, tests, replays and removes webhooks."""

    def __init__(self, store: AuditedNotifyStore, *, clock: Clock, ids: IdSource, rand: Rand, allow_private: bool) -> None:
        super().__init__(store, clock, ids)
        self._rand = rand
        self._allow_private = allow_private

    async def create(self, actor: Actor, url: str, events: Sequence[str], *, is_active: bool = True) -> Webhook:
        """Create a webhook with a new secret. A webhook that a test key creates gets events of test mail only. Raises `BadWebhook`,
        `LimitReached`.
        """
        now = self._clock.now()
        webhook = Webhook(
            id=WebhookId(self._ids.next()),
            account_id=actor.account_id,
            url=self._check_url(url),
            events=_check_events(events),
            secret=new_secret(self._rand),
            is_active=is_active,
            created_at=now,
            updated_at=now,
            mode=actor.mode,
        )
        await self._audited("webhook.added", _target(webhook.id), after=_shown(webhook)).add_webhook(webhook, limit=MAX_WEBHOOKS)
        return webhook

    async def update(self, actor: Actor, webhook_id: WebhookId, change: WebhookChange) -> Webhook:
        """Change a webhook. A new URL or a resumed webhook starts without failures. Raises `BadWebhook`, `NotFound`, `LiveKeyNeeded`."""

        async def attempt() -> Webhook:
            return await self._update(await self._find(actor, webhook_id), change)

        return await reapply(attempt)

    async def _update(self, webhook: Webhook, change: WebhookChange) -> Webhook:
        url = webhook.url if change.url is None else self._check_url(change.url)
        is_active = webhook.is_active if change.is_active is None else change.is_active
        changed = replace(
            webhook,
            url=url,
            events=webhook.events if change.events is None else _check_events(change.events),
            is_active=is_active,
            updated_at=self._clock.now(),
        )
        if url != webhook.url or (is_active and not webhook.is_active):
            changed = replace(changed, failing_since=None)
        if is_active:
            changed = replace(changed, disabled_reason=None)
        before, after = changes(_shown(webhook), _shown(changed))
        await self._audited("webhook.changed", _target(webhook.id), before=before, after=after).update_webhook(webhook, changed)
        return changed

    async def remove(self, actor: Actor, webhook_id: WebhookId) -> None:
        """Remove a webhook and its deliveries. Raises `NotFound`, `LiveKeyNeeded`."""
        await self._find(actor, webhook_id)
        await self._audited("webhook.removed", _target(webhook_id)).remove_webhook(actor.account_id, webhook_id)

    async def test_event(self, actor: Actor, webhook_id: WebhookId) -> Notification:
        """Queue a test event. Raises `NotFound`, `LiveKeyNeeded`, and `NotAllowed` for a paused webhook."""
        webhook = await self._find_active(actor, webhook_id)
        event_type = WebhookEvent.EMAIL_DELIVERED
        if event_type not in webhook.events:
            event_type = webhook.events[0]
        now = self._clock.now()
        notice = Notice(type=event_type, body=_test_body(webhook, now), created_at=now)
        return await self._store.add_notification(actor.account_id, webhook_id, notice)

    async def replay(self, actor: Actor, notification_id: NotificationId) -> Notification:
        """Queue one delivery again with its event id. Raises `NotFound`, `LiveKeyNeeded`, and `NotAllowed` for a paused webhook."""
        notification = await self._store.get_notification(actor.account_id, notification_id)
        if notification is None:
            raise NotFound("no such notification")
        await self._find_active(actor, notification.webhook_id)
        (made,) = await self._store.replay(actor.account_id, [notification_id], self._clock.now())
        return made

    async def replay_range(
        self,
        actor: Actor,
        webhook_id: WebhookId,
        *,
        start: datetime,
        end: datetime,
        is_failed: bool = True,
        limit: int = MAX_REPLAY,
        batch: int = REPLAY_BATCH,
    ) -> list[Notification]:
        """Queue a webhook's deliveries from `start` to `end` again; failed ones only, unless `is_failed` is false.

        Raises `BadWebhook` for an empty range or more than `limit` deliveries, `NotFound`, `LiveKeyNeeded`, and `NotAllowed` for a
        paused webhook. If the store fails midway, the first part of the range is queued.
        """
        if end < start:
            raise BadWebhook("to", "it lies before from")
        await self._find_active(actor, webhook_id)
        found = await self._store.find_notifications(
            actor.account_id, webhook_id, start=start, end=end, is_failed=is_failed, limit=limit + 1
        )
        if len(found) > limit:
            raise BadWebhook("to", f"the range holds more than {limit} notifications: take a shorter one")
        made: list[Notification] = []
        for first in range(0, len(found), batch):
            made += await self._store.replay(actor.account_id, found[first : first + batch], self._clock.now())
        return made

    async def _find(self, actor: Actor, webhook_id: WebhookId) -> Webhook:
        webhook = await self._store.get_webhook(actor.account_id, webhook_id)
        if webhook is None:
            raise NotFound("no such webhook")
        check_change(actor, webhook.mode)
        return webhook

    async def _find_active(self, actor: Actor, webhook_id: WebhookId) -> Webhook:
        webhook = await self._find(actor, webhook_id)
        if not webhook.is_active:
            raise NotAllowed("the webhook is switched off: activate it first")
        return webhook

    def _check_url(self, url: str) -> str:
        try:
            return check_url(url, allow_private=self._allow_private)
        except UrlRefused as error:
            raise BadWebhook("url", str(error)) from None


def _target(webhook_id: WebhookId) -> str:
    return format_id(WEBHOOK_PREFIX, webhook_id)


def _shown(webhook: Webhook) -> dict[str, object]:
    """What the audit says of a webhook: its path and query may be a password."""
    return {"url": origin_of(webhook.url), "events": [str(event) for event in webhook.events], "is_active": webhook.is_active}


def _check_events(words: Sequence[str]) -> tuple[WebhookEvent, ...]:
    """The events without repetitions, in the given order. Raises `BadWebhook`."""
    events = []
    for word in dict.fromkeys(words):
        try:
            events.append(WebhookEvent(word))
        except ValueError:
            raise BadWebhook("events", f"{word[:MAX_SHOWN]!r} is not an event: choose from {', '.join(WebhookEvent)}") from None
    if not events:
        raise BadWebhook("events", f"a webhook needs at least one event: choose from {', '.join(WebhookEvent)}")
    return tuple(events)


def _test_body(webhook: Webhook, now: datetime) -> dict[str, object]:
    """A body in the form of a mail event, so that receivers accept it."""
    return {
        "test": True,
        "message": "This is a test of your webhook. It tells of no mail.",
        "webhook_id": format_id(WEBHOOK_PREFIX, webhook.id),
        "email_id": None,
        "to": TEST_RECIPIENT,
        "timestamp": timestamp(now),
    }
