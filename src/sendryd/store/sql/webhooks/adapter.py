"""Webhooks and the outbox."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import NOTIFICATION_PREFIX, WEBHOOK_PREFIX, AccountId, MessageId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookAttempt
from sendryd.store.base import ClaimedNotification, Lease, Notice, NotificationOutcome, Owner, Page
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import clean, contains, from_ms_or_none, id_below, to_json, to_ms, to_ms_or_none
from sendryd.store.codec.webhooks import attempt_row, read_notification, read_webhook, show_notification, webhook_row
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import change, fetch_row, fetch_value
from sendryd.store.errors import LeaseLost, NotFound
from sendryd.store.rules import check_limit, check_unchanged
from sendryd.store.sql.webhooks.claiming import choose, lease_chosen
from sendryd.store.sql.webhooks.outbox import fan_out
from sendryd.store.sql.webhooks.queries import SQL
from sendryd.store.sql.webhooks.replaying import Replays

MAX_RESPONSE: Final = 2000  # characters
ATTEMPTS_KEPT: Final = 20  # of a notification: two rounds of the usual schedule; each takes up to 3 KB


class Webhooks(Replays):
    """`ReplayStore`. Methods that concern all notifications of a webhook use several transactions."""

    async def add_webhook(self, webhook: Webhook, *, limit: int | None = None) -> None:
        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["insert_webhook"], **webhook_row(webhook))
            count = fetch_value(connection, SQL["count_webhooks_made"], account_id=webhook.account_id, mode=webhook.mode.value)
            check_limit(count, limit, "webhook", "remove one first")

        await self._database.write(action)

    async def get_webhook(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook | None:
        row = await self._database.find_row(SQL["get_webhook"], account_id=account_id, id=webhook_id)
        return read_webhook(row) if row else None

    async def page_webhooks(
        self,
        account_id: AccountId,
        *,
        text: str | None = None,
        whole_urls: Collection[KeyMode] = frozenset(KeyMode),
        limit: int,
        before: WebhookId | None = None,
    ) -> Page[Webhook]:
        values = {**_filter_values(account_id, text, whole_urls), "before": id_below(before), "limit": limit + 1}
        rows = await self._database.list_rows(SQL["page_webhooks"], WEBHOOK_PREFIX, **values)
        return self._database.unreadable.page(rows, read_webhook, limit)

    async def count_webhooks(
        self, account_id: AccountId, *, text: str | None = None, whole_urls: Collection[KeyMode] = frozenset(KeyMode)
    ) -> int:
        return int(await self._database.read_value(SQL["count_webhooks"], **_filter_values(account_id, text, whole_urls)))

    async def update_webhook(self, before: Webhook, webhook: Webhook) -> None:
        def action(connection: Connection, _batch: object) -> None:
            row = fetch_row(connection, SQL["get_webhook"], account_id=webhook.account_id, id=webhook.id)
            if row is None:
                raise NotFound("no such webhook")
            check_unchanged(read_webhook(row), before, "the webhook")
            change(connection, SQL["update_webhook"], **webhook_row(webhook))

        await self._database.write(action)

    async def remove_webhook(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        if await self.get_webhook(account_id, webhook_id) is None:
            raise NotFound("no such webhook")
        await self._change_in_steps(SQL["drop_notifications"], webhook_id=webhook_id)
        if not await self._database.change(SQL["remove_webhook"], account_id=account_id, id=webhook_id):
            raise NotFound("no such webhook")

    async def _change_in_steps(self, statement: Statement, **values: Any) -> None:
        """Runs a statement that changes at most `limit` rows, until it has changed all."""
        step = self._database.sizes.step
        while await self._database.plain.change(statement, **values, limit=step) >= step:
            pass

    async def disable_webhook(self, webhook_id: WebhookId, reason: str, now: datetime) -> None:
        if await self._database.change(SQL["disable_webhook"], id=webhook_id, reason=reason, moment=to_ms(now)):
            await self._change_in_steps(SQL["give_up_notifications"], webhook_id=webhook_id, reason=reason)

    async def add_notification(self, account_id: AccountId, webhook_id: WebhookId, notice: Notice) -> Notification:
        values = {"type": notice.type.value, "body": to_json(notice.body), "created_at": to_ms(notice.created_at)}

        def action(connection: Connection, _batch: object) -> Notification:
            if fetch_row(connection, SQL["get_webhook"], account_id=account_id, id=webhook_id) is None:
                raise NotFound("no such webhook")
            row = fetch_row(connection, SQL["insert_notification"], webhook_id=webhook_id, account_id=account_id, **values)
            return _inserted(connection, account_id, row)

        return await self._database.write(action)

    async def page_notifications(
        self,
        account_id: AccountId,
        *,
        webhook_id: WebhookId | None = None,
        made_by: KeyMode | None = None,
        limit: int,
        before: NotificationId | None = None,
    ) -> Page[Notification]:
        # Written here because the filters vary: one statement for all of them would use no index.
        conditions = "n.account_id = :account_id"
        if webhook_id is not None:
            conditions = "n.webhook_id = :webhook_id AND +n.account_id = :account_id"
        if made_by is not None:
            conditions += " AND n.webhook_id IN (SELECT id FROM webhook WHERE account_id = :account_id AND mode = :made_by)"
        rows = await self._database.search_rows(
            SQL["page_notifications"].where(conditions),
            NOTIFICATION_PREFIX,
            account_id=account_id,
            webhook_id=webhook_id,
            made_by=made_by.value if made_by else None,
            before=id_below(before),
            limit=limit + 1,
        )
        return self._database.unreadable.page(rows, show_notification, limit)

    async def list_notifications_of(self, account_id: AccountId, message_id: MessageId, *, limit: int) -> list[Notification]:
        rows = await self._database.list_rows(
            SQL["list_notifications_of"], NOTIFICATION_PREFIX, account_id=account_id, message_id=message_id, limit=limit
        )
        return list(self._database.unreadable.keep(rows, show_notification))

    async def get_notification(self, account_id: AccountId, notification_id: NotificationId) -> Notification | None:
        rows = await self._database.read_rows(SQL["get_notification"], account_id=account_id, id=notification_id)
        return show_notification(rows[0]) if rows else None

    async def replay(self, account_id: AccountId, notification_ids: Sequence[NotificationId], now: datetime) -> list[Notification]:
        def action(connection: Connection, _batch: object) -> list[Notification]:
            made = []
            for number in notification_ids:
                row = fetch_row(connection, SQL["replay_notification"], account_id=account_id, id=number, moment=to_ms(now))
                if row is None:
                    raise NotFound("no such notification")
                made.append(_inserted(connection, account_id, row))
            return made

        return await self._database.write(action)

    async def find_notifications(
        self, account_id: AccountId, webhook_id: WebhookId, *, start: datetime, end: datetime, is_failed: bool, limit: int
    ) -> list[NotificationId]:
        rows = await self._database.read_rows(
            SQL["find_notifications"],
            account_id=account_id,
            webhook_id=webhook_id,
            start=to_ms(start),
            end=to_ms(end),
            is_failed=is_failed,
            limit=limit,
        )
        return [NotificationId(row["id"]) for row in rows]

    async def fan_out(self, *, limit: int) -> int:
        if await self._database.find_row(SQL["has_facts"]) is None:
            return 0
        return await self._database.write(lambda connection, _: fan_out(connection, limit), is_alone=False)

    async def claim_notifications(
        self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[WebhookId], per_webhook: int
    ) -> list[ClaimedNotification]:
        if limit <= 0 or per_webhook <= 0:
            return []
        unreadable = self._database.unreadable
        chosen = await self._database.read(partial(choose, moment=to_ms(now), limit=limit, busy=busy, per_webhook=per_webhook))
        if not chosen:
            return []
        return await self._database.write(lambda connection, _: lease_chosen(connection, chosen, lease, unreadable), is_alone=False)

    async def return_dead_notifications(self, living: Owner) -> int:
        return await self._database.change(SQL["return_dead_notifications"], boot=living.boot, node=living.node)

    async def return_notifications(self, owner: Owner, notification_ids: Sequence[NotificationId]) -> int:
        return await self._database.change(SQL["return_notifications"], ids=to_json(notification_ids), boot=owner.boot)

    async def bring_notifications_forward(self, *, now: datetime, latest: datetime) -> int:
        return await self._database.change(SQL["bring_notifications_forward"], moment=to_ms(now), latest=to_ms(latest))

    async def list_leased_notifications(self, owner: Owner) -> list[NotificationId]:
        rows = await self._database.read_rows(SQL["list_leased_notifications"], boot=owner.boot, node=owner.node)
        return [NotificationId(row["id"]) for row in rows]

    async def record_notification(self, lease: Lease, outcome: NotificationOutcome, now: datetime) -> Webhook | None:
        moment, is_delivered = to_ms(now), outcome.state is NotificationState.DELIVERED
        values = {
            "id": outcome.notification_id,
            "token": lease.token,
            "boot": lease.owner.boot,
            "state": outcome.state.value,
            "due_at": to_ms_or_none(outcome.due_at),
            "status_code": outcome.status_code,
            "response": clean(outcome.response[:MAX_RESPONSE]),
            "delivered_at": moment if is_delivered else None,
        }

        def action(connection: Connection, _batch: object) -> Webhook | None:
            row = fetch_row(connection, SQL["record_notification"], **values)
            if row is not None:
                if outcome.attempt is not None:
                    _keep_attempt(connection, outcome.notification_id, row, outcome.attempt)
                change(connection, SQL["set_failing"], id=row["webhook_id"], is_failing=not is_delivered, moment=moment)
                found = fetch_row(connection, SQL["find_webhook"], id=row["webhook_id"])
                return read_webhook(found) if found else None
            if fetch_row(connection, SQL["notification_exists"], id=outcome.notification_id) is not None:
                raise LeaseLost("the lease was returned, or another dispatcher holds the notification")
            return None  # deleted with its webhook

        return await self._database.write(action, is_alone=False)

    async def notification_due_at(self, *, busy: frozenset[WebhookId] = frozenset()) -> datetime | None:
        rows = await self._database.read_rows(SQL["list_owed_webhooks"])
        return from_ms_or_none(min((row["due_at"] for row in rows if row["webhook_id"] not in busy), default=None))

    async def delete_notifications(self, *, created_before: datetime, limit: int) -> int:
        return await self._database.change(SQL["delete_notifications"], created_before=to_ms(created_before), limit=limit)


def _keep_attempt(connection: Connection, number: NotificationId, row: Row, attempt: WebhookAttempt) -> None:
    values = {**attempt_row(attempt), "notification_id": number, "webhook_id": row["webhook_id"], "number": row["attempts"]}
    change(connection, SQL["insert_attempt"], **values)
    change(connection, SQL["drop_attempts"], notification_id=number, kept=ATTEMPTS_KEPT)


def _filter_values(account_id: AccountId, text: str | None, whole_urls: Collection[KeyMode]) -> dict[str, Any]:
    return {"account_id": account_id, "pattern": contains(text) if text else None, "whole_urls": to_json(list(whole_urls))}


def _inserted(connection: Connection, account_id: AccountId, row: Row | None) -> Notification:
    found = fetch_row(connection, SQL["get_notification"], account_id=account_id, id=row["id"]) if row else None
    if found is None:
        raise AssertionError("the row that was just stored is missing")
    return read_notification(found)
