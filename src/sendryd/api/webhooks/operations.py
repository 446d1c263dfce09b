"""Webhooks, their deliveries, and replays."""

from typing import Final

from sendryd.accounts.webhooks import WebhookChange, Webhooks
from sendryd.api.framework.answers import CountedPage, Deleted, Page, counted_page, page
from sendryd.api.framework.bodies import SearchQuery
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, not_found, parse_cursor
from sendryd.api.webhooks.schema import (
    CreatedWebhook,
    DeliveriesQuery,
    NewWebhook,
    Range,
    Replayed,
    ReplayedRange,
    Webhook,
    WebhookDelivery,
    WebhookListItem,
    WebhookUpdate,
    listed_webhook_json,
    new_webhook_json,
    notification_json,
    queued_json,
    webhook_json,
)
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import NOTIFICATION_PREFIX, WEBHOOK_PREFIX, NotificationId, WebhookId, parse_id
from sendryd.policy.permissions import may_see_url
from sendryd.store.base import NotifyStore

GROUP: Final = Group(
    "Webhooks",
    "Endpoints that receive events.",
    {
        "webhooks": public_id("a webhook", WEBHOOK_PREFIX, "Webhook"),
        "deliveries": public_id("a notification", NOTIFICATION_PREFIX, "Webhook delivery"),
    },
)


class WebhookHandlers:
    """The operations on webhooks."""

    def __init__(self, store: NotifyStore, webhooks: Webhooks) -> None:
        self._store = store
        self._webhooks = webhooks

    def operations(self) -> list[Operation]:
        """The declarations."""
        update = Operation(GROUP, "PUT /v1/webhooks/{id}", self.update, example={"events": ["email.bounced"], "active": True})
        return [
            Operation(
                GROUP,
                "POST /v1/webhooks",
                self.create,
                example={"url": "https://example.com/hooks", "events": ["email.delivered", "email.bounced"]},
            ),
            Operation(GROUP, "GET /v1/webhooks", self.list),
            Operation(GROUP, "GET /v1/webhooks/{id}", self.get),
            update,
            update.alias("PATCH /v1/webhooks/{id}"),
            Operation(GROUP, "DELETE /v1/webhooks/{id}", self.remove),
            Operation(GROUP, "GET /v1/webhooks/deliveries", self.list_deliveries),
            Operation(GROUP, "POST /v1/webhooks/deliveries/{id}/replay", self.replay, conflict="The webhook is paused."),
            Operation(GROUP, "POST /v1/webhooks/{id}/test", self.test, conflict="The webhook is paused."),
            Operation(
                GROUP,
                "POST /v1/webhooks/{id}/replay",
                self.replay_range,
                example={"from": "2026-05-01", "to": "2026-05-31", "failed_only": True},
                conflict="The webhook is paused.",
            ),
        ]

    async def create(self, call: Call[NewWebhook, None]) -> CreatedWebhook:
        """Create a webhook.

        A webhook that a test key creates gets events of test mail only.
        """
        body = call.body
        webhook = await self._webhooks.by(call.author).create(call.key, body.url, body.events, is_active=body.active is not False)
        return new_webhook_json(webhook, call.key)

    async def list(self, call: Call[None, SearchQuery]) -> CountedPage[WebhookListItem]:
        """List webhooks, newest first.

        The list has no secrets. Keys that cannot change a webhook see only the host of its URL.
        """
        query = call.query
        before = parse_cursor(query.cursor, WebhookId, WEBHOOK_PREFIX)
        account_id = call.key.account_id
        searched = frozenset(mode for mode in KeyMode if may_see_url(call.key, mode))
        found = await self._store.page_webhooks(account_id, text=query.q, whole_urls=searched, limit=query.limit, before=before)
        total = await self._store.count_webhooks(account_id, text=query.q, whole_urls=searched)
        return counted_page([listed_webhook_json(each, call.key) for each in found.items], has_more=found.has_more, total=total)

    async def get(self, call: Call[None, None]) -> Webhook:
        """Get a webhook.

        A live key with full access also gets the secret. Keys that cannot change the webhook see only the host of its URL.
        """
        webhook = await self._store.get_webhook(call.key.account_id, WebhookId(call.read_id(WEBHOOK_PREFIX)))
        if webhook is None:
            raise not_found("Webhook")
        return webhook_json(webhook, call.key)

    async def update(self, call: Call[WebhookUpdate, None]) -> Webhook:
        """Change, pause or resume a webhook.

        A field that is left out keeps its value. A new URL and a resumed webhook start with no failures.
        """
        body = call.body
        change = WebhookChange(url=body.url, events=body.events, is_active=body.active)
        webhook = await self._webhooks.by(call.author).update(call.key, WebhookId(call.read_id(WEBHOOK_PREFIX)), change)
        return webhook_json(webhook, call.key)

    async def remove(self, call: Call[None, None]) -> Deleted:
        """Remove a webhook and its pending deliveries.

        Its finished deliveries are removed too.
        """
        await self._webhooks.by(call.author).remove(call.key, WebhookId(call.read_id(WEBHOOK_PREFIX)))
        return {"deleted": True}

    async def list_deliveries(self, call: Call[None, DeliveriesQuery]) -> Page[WebhookDelivery]:
        """List webhook deliveries, newest first.

        The list has finished and pending deliveries. A test key sees those of webhooks that test keys made.
        """
        query = call.query
        webhook_id = parse_id(query.webhook_id, WEBHOOK_PREFIX) if query.webhook_id else None
        if query.webhook_id and webhook_id is None:
            raise invalid("webhook_id", "webhook_id is the id of a webhook, as wh_…")
        before = parse_cursor(query.cursor, NotificationId, NOTIFICATION_PREFIX)
        found = await self._store.page_notifications(
            call.key.account_id,
            made_by=KeyMode.TEST if call.key.mode is KeyMode.TEST else None,
            webhook_id=None if webhook_id is None else WebhookId(webhook_id),
            limit=query.limit,
            before=before,
        )
        return page([notification_json(each) for each in found.items], has_more=found.has_more)

    async def replay(self, call: Call[None, None]) -> Replayed:
        """Replay a webhook delivery.

        The event keeps its id, so that the receiver can recognise it.
        """
        made = await self._webhooks.replay(call.key, NotificationId(call.read_id(NOTIFICATION_PREFIX)))
        return queued_json(made)

    async def test(self, call: Call[None, None]) -> Replayed:
        """Send a test event to a webhook.

        The body has `"test": true` and concerns no email.
        """
        made = await self._webhooks.test_event(call.key, WebhookId(call.read_id(WEBHOOK_PREFIX)))
        return queued_json(made)

    async def replay_range(self, call: Call[Range, None]) -> ReplayedRange:
        """Replay a webhook's deliveries in a time range.

        Only failed deliveries are replayed unless `failed_only` is false.
        """
        body = call.body
        made = await self._webhooks.replay_range(
            call.key,
            WebhookId(call.read_id(WEBHOOK_PREFIX)),
            start=body.start,
            end=body.end,
            is_failed=body.failed_only is not False,
        )
        return {"queued": len(made)}
