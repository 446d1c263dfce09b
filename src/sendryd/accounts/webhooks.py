"""Operations on webhooks: creating, changing, removing, testing, replaying, rotating the secret, checking a signature.

The store queues deliveries with the events they report; the operations here queue only tests and replays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
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
from sendryd.policy.webhook_signature import recognise
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import Rand
from sendryd.store.base import AuditStore, Notice, NotificationFilter, ReplayStore, Standing
from sendryd.store.errors import NotAllowed, NotFound

SECRET_LENGTH: Final = 44  # letters and digits: base 64 of 33 octets without padding; Standard Webhooks asks for 24 to 64 octets
MAX_WEBHOOKS: Final = 50  # of an account: each is owed every event that it asks for, so the cost of an event grows with them
MAX_REPLAY: Final = 10_000  # notifications of one call: what a busy endpoint takes in minutes
REPLAY_BATCH: Final = 500  # notifications in one transaction: a few milliseconds
SECRET_OVERLAP: Final = timedelta(days=1)  # both secrets are valid: the time in which an app is deployed everywhere
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


class Signer(StrEnum):
    """Whose secret made a signature."""

    PRESENT = "present"
    PREVIOUS = "previous"
    EXPIRED = "expired"  # the previous one, after its time
    UNKNOWN = "unknown"


class AuditedNotifyStore(ReplayStore, AuditStore, Protocol):
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

    async def rotate_secret(self, actor: Actor, webhook_id: WebhookId) -> Webhook:
        """Give a webhook a new secret. The old one signs too for a day. Raises `NotFound`, `LiveKeyNeeded`."""

        async def attempt() -> Webhook:
            webhook, now = await self._find(actor, webhook_id), self._clock.now()
            changed = replace(
                webhook,
                secret=new_secret(self._rand),
                previous_secret=webhook.secret,
                previous_until=now + SECRET_OVERLAP,
                updated_at=now,
            )
            await self._audited("webhook.secret_rotated", _target(webhook_id)).update_webhook(webhook, changed)
            return changed

        return await reapply(attempt)

    async def end_previous_secret(self, actor: Actor, webhook_id: WebhookId) -> Webhook:
        """Sign with the present secret alone from now on. Raises `NotFound`, `LiveKeyNeeded`."""

        async def attempt() -> Webhook:
            webhook = await self._find(actor, webhook_id)
            changed = replace(webhook, previous_secret=None, previous_until=None, updated_at=self._clock.now())
            await self._audited("webhook.previous_secret_ended", _target(webhook_id)).update_webhook(webhook, changed)
            return changed

        return await reapply(attempt)

    async def check_signature(self, actor: Actor, webhook_id: WebhookId, pasted: str, body: bytes) -> Signer:
        """Whose secret signed a body, by headers from a log. Raises `BadWebhook` if they hold no signature, `NotFound`, `LiveKeyNeeded`."""
        webhook = await self._find(actor, webhook_id)
        secrets = [webhook.secret, *([webhook.previous_secret] if webhook.previous_secret else [])]
        try:
            found = recognise(pasted, body, secrets)
        except ValueError as error:
            raise BadWebhook("headers", str(error)) from None
        if found is None:
            return Signer.UNKNOWN
        if found == webhook.secret:
            return Signer.PRESENT
        return Signer.PREVIOUS if webhook.second_secret(self._clock.now()) else Signer.EXPIRED

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

    async def send_again(self, actor: Actor, webhook_id: WebhookId, notification_ids: Sequence[NotificationId]) -> int:
        """Send chosen deliveries again under their event ids; those that wait are left alone. Returns how many. Raises `NotFound`,
        `LiveKeyNeeded`, and `NotAllowed` for a paused webhook.
        """
        await self._find_active(actor, webhook_id)
        return await self._store.send_again(actor.account_id, webhook_id, notification_ids, self._clock.now())

    async def replay_failing(self, actor: Actor, webhook_id: WebhookId, which: NotificationFilter, *, by: str) -> int:
        """Send all failing deliveries again that match, each once, in the background. Returns how many. Raises `BadWebhook` for an empty range,
        `NotFound`, `LiveKeyNeeded`, and `NotAllowed` for a paused webhook.
        """
        now = self._clock.now()
        start, end = which.start or datetime.min.replace(tzinfo=now.tzinfo), which.end or now
        if end < start:
            raise BadWebhook("to", "it lies before from")
        await self._find_active(actor, webhook_id)
        asked = replace(which, standing=Standing.FAILING, start=start, end=end)
        return await self._store.add_replay(actor.account_id, webhook_id, asked, by=by, now=now)

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
