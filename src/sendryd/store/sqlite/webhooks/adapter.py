"""Webhooks and the outbox in SQLite."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import apsw

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import NOTIFICATION_PREFIX, WEBHOOK_PREFIX, AccountId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, Webhook, WebhookEvent
from sendryd.store.base import ClaimedNotification, Lease, Notice, NotificationOutcome, Owner, Page
from sendryd.store.codec.mail import read_event
from sendryd.store.codec.reading import FAULTS, Row, row_of
from sendryd.store.codec.values import clean, contains, from_ms, from_ms_or_none, read_object, to_json, to_ms, to_ms_or_none
from sendryd.store.errors import Changed, LeaseLost, NotFound, RowUnreadable
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.limits import check_limit
from sendryd.store.sqlite.engine.unreadable import Unreadable
from sendryd.store.sqlite.webhooks.outbox import fan_out
from sendryd.store.sqlite.webhooks.queries import SQL

MAX_RESPONSE: Final = 2000  # characters
UNREADABLE: Final = "The notification, its event or its webhook cannot be read from the database: the log of the server names it."
STEP: Final = 1000  # notifications given up or removed in one transaction: some milliseconds, in which mail waits
_LAST: Final = 1 << 62
_NOTIFICATION: Final = """
SELECT n.id, n.webhook_id, n.account_id, n.type, n.body, coalesce(n.origin_id, n.id), n.state, n.attempts, n.due_at, n.status_code,
       n.response, n.delivered_at, n.created_at, e.mode, e.id, e.message_id, e.delivery_id, e.type, e.recipient, e.created_at, e.metadata
FROM notification n LEFT JOIN event e ON e.id = n.event_id
"""


class Webhooks:
    """`NotifyStore`. What concerns all that a webhook is owed is done in several transactions."""

    _database: Database

    async def add_webhook(self, webhook: Webhook, *, limit: int | None = None) -> None:
        values = (
            webhook.id,
            webhook.account_id,
            webhook.url,
            to_json(webhook.events),
            webhook.secret,
            webhook.is_active,
            to_ms(webhook.created_at),
            to_ms(webhook.updated_at),
            to_ms_or_none(webhook.failing_since),
            webhook.disabled_reason,
            webhook.mode.value,
        )

        def action(connection: apsw.Connection, _batch: object) -> None:
            connection.execute(SQL["insert_webhook"], values)
            count = connection.execute(SQL["count_webhooks_made"], (webhook.account_id, webhook.mode.value)).get
            check_limit(count, limit, "webhook", "remove one first")

        await self._database.write(action)

    async def get_webhook(self, account_id: AccountId, webhook_id: WebhookId) -> Webhook | None:
        row = self._database.fetch_one(SQL["get_webhook"], account_id, webhook_id)
        return _read_webhook(row) if row else None

    async def page_webhooks(
        self,
        account_id: AccountId,
        *,
        text: str | None = None,
        whole_urls: Collection[KeyMode] = frozenset(KeyMode),
        limit: int,
        before: WebhookId | None = None,
    ) -> Page[Webhook]:
        values = (account_id, _LAST if before is None else before, contains(text) if text else None, limit + 1, to_json(list(whole_urls)))
        rows = await self._database.read_rows(SQL["page_webhooks"], WEBHOOK_PREFIX, *values)
        return Page(items=self._database.unreadable.keep(rows[:limit], _read_webhook), has_more=len(rows) > limit)

    async def count_webhooks(
        self, account_id: AccountId, *, text: str | None = None, whole_urls: Collection[KeyMode] = frozenset(KeyMode)
    ) -> int:
        values = (account_id, contains(text) if text else None, to_json(list(whole_urls)))
        row = await self._database.read(lambda connection: connection.execute(SQL["count_webhooks"], values).fetchone())
        return int(row[0]) if row else 0

    async def update_webhook(self, before: Webhook, webhook: Webhook) -> None:
        values = (
            webhook.account_id,
            webhook.id,
            webhook.url,
            to_json(webhook.events),
            webhook.is_active,
            to_ms(webhook.updated_at),
            to_ms_or_none(webhook.failing_since),
            webhook.disabled_reason,
        )

        def action(connection: apsw.Connection, _batch: object) -> None:
            row = connection.execute(SQL["get_webhook"], (webhook.account_id, webhook.id)).fetchone()
            if row is None:
                raise NotFound("no such webhook")
            if _read_webhook(row) != before:
                raise Changed("the webhook has been changed by somebody else at the same time: try again")
            connection.execute(SQL["update_webhook"], values)

        await self._database.write(action)

    async def remove_webhook(self, account_id: AccountId, webhook_id: WebhookId) -> None:
        if await self.get_webhook(account_id, webhook_id) is None:
            raise NotFound("no such webhook")
        await self._in_steps("drop_notifications", webhook_id)
        await self._database.write(lambda connection, _: _must_change(connection, "remove_webhook", (account_id, webhook_id)))

    async def _in_steps(self, name: str, *values: Any) -> None:
        """Runs a statement that changes at most so many rows, until it has changed all."""

        def action(connection: apsw.Connection, _batch: object) -> int:
            connection.execute(SQL[name], (*values, STEP))
            return int(connection.changes())

        while await self._database.write(action) >= STEP:
            pass

    async def add_notification(self, account_id: AccountId, webhook_id: WebhookId, notice: Notice) -> Notification:
        def action(connection: apsw.Connection, _batch: object) -> Notification:
            if connection.execute(SQL["get_webhook"], (account_id, webhook_id)).fetchone() is None:
                raise NotFound("no such webhook")
            values = (webhook_id, account_id, notice.type.value, to_json(notice.body), to_ms(notice.created_at))
            return _inserted(connection, connection.execute(SQL["insert_notification"], values).fetchone())

        notification: Notification = await self._database.write(action)
        return notification

    async def page_notifications(
        self,
        account_id: AccountId,
        *,
        webhook_id: WebhookId | None = None,
        made_by: KeyMode | None = None,
        limit: int,
        before: NotificationId | None = None,
    ) -> Page[Notification]:
        which: str = "n.account_id = ?"
        values: list[int | str] = [account_id]
        if webhook_id is not None:
            which, values = "n.webhook_id = ? AND +n.account_id = ?", [webhook_id, account_id]
        if made_by is not None:
            which += " AND n.webhook_id IN (SELECT id FROM webhook WHERE account_id = ? AND mode = ?)"
            values += [account_id, made_by.value]
        query = f"{_NOTIFICATION} WHERE {which} AND n.id < ? ORDER BY n.id DESC LIMIT ?"
        values += [_LAST if before is None else before, limit + 1]
        unreadable = self._database.unreadable
        rows = await self._database.search(lambda connection: unreadable.fetch(connection.execute(query, values), NOTIFICATION_PREFIX))
        return Page(items=unreadable.keep(rows[:limit], _show_notification), has_more=len(rows) > limit)

    async def get_notification(self, account_id: AccountId, notification_id: NotificationId) -> Notification | None:
        query = f"{_NOTIFICATION} WHERE n.account_id = ? AND n.id = ?"
        row = await self._database.read(lambda connection: connection.execute(query, (account_id, notification_id)).fetchone())
        return _show_notification(row) if row else None

    async def replay(self, account_id: AccountId, notification_ids: Sequence[NotificationId], now: datetime) -> list[Notification]:
        def action(connection: apsw.Connection, _batch: object) -> list[Notification]:
            made = []
            for number in notification_ids:
                row = connection.execute(SQL["replay_notification"], (account_id, number, to_ms(now))).fetchone()
                if row is None:
                    raise NotFound("no such notification")
                made.append(_inserted(connection, row))
            return made

        made: list[Notification] = await self._database.write(action)
        return made

    async def find_notifications(
        self, account_id: AccountId, webhook_id: WebhookId, *, start: datetime, end: datetime, is_failed: bool, limit: int
    ) -> list[NotificationId]:
        values = (account_id, webhook_id, to_ms(start), to_ms(end), is_failed, limit)
        rows: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(SQL["find_notifications"], values).fetchall()
        )
        return [NotificationId(number) for (number,) in rows]

    async def fan_out(self, *, limit: int) -> int:
        if self._database.fetch_one(SQL["first_facts"], 1) is None:
            return 0
        return int(await self._database.write(lambda connection, _: fan_out(connection, limit)))

    async def claim_notifications(
        self, *, now: datetime, lease: Lease, limit: int, busy: frozenset[WebhookId], per_webhook: int
    ) -> list[ClaimedNotification]:
        moment = to_ms(now)
        if limit <= 0 or per_webhook <= 0:
            return []
        chosen = await self._database.read(lambda connection: _choose(connection, moment, limit, busy, per_webhook))
        if not chosen:
            return []
        claims: list[ClaimedNotification] = await self._database.write(
            lambda connection, _: _lease(connection, chosen, lease, self._database.unreadable)
        )
        return claims

    async def return_dead_notifications(self, living: Owner) -> int:
        return await self._change_rows("return_dead_notifications", (living.boot, living.node))

    async def return_notifications(self, owner: Owner, notification_ids: Sequence[NotificationId]) -> int:
        return await self._change_rows("return_notifications", (to_json(notification_ids), owner.boot))

    async def _change_rows(self, name: str, values: tuple[Any, ...]) -> int:
        def action(connection: apsw.Connection, _batch: object) -> int:
            connection.execute(SQL[name], values)
            return int(connection.changes())

        return int(await self._database.write(action))

    async def bring_notifications_forward(self, *, now: datetime, latest: datetime) -> int:
        return await self._change_rows("bring_notifications_forward", (to_ms(now), to_ms(latest)))

    async def list_leased_notifications(self, owner: Owner) -> list[NotificationId]:
        values = (owner.boot, owner.node)
        rows: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(SQL["list_leased_notifications"], values).fetchall()
        )
        return [NotificationId(number) for (number,) in rows]

    async def record_notification(self, lease: Lease, outcome: NotificationOutcome, now: datetime) -> Webhook | None:
        moment = to_ms(now)
        is_delivered = outcome.state is NotificationState.DELIVERED
        values = (
            outcome.notification_id,
            lease.token,
            outcome.state.value,
            to_ms_or_none(outcome.due_at),
            outcome.status_code,
            clean(outcome.response[:MAX_RESPONSE]),
            moment if is_delivered else None,
            lease.owner.boot,
        )

        def action(connection: apsw.Connection, _batch: object) -> Webhook | None:
            row = connection.execute(SQL["record_notification"], values).fetchone()
            if row is not None:
                connection.execute(SQL["set_failing"], (row[0], not is_delivered, moment))
                found = connection.execute(SQL["find_webhook"], row).fetchone()
                return _read_webhook(found) if found else None
            if connection.execute(SQL["notification_exists"], values[:1]).fetchone() is not None:
                raise LeaseLost("somebody else holds the notification, or nobody does")
            return None  # gone with its webhook

        webhook: Webhook | None = await self._database.write(action)
        return webhook

    async def disable_webhook(self, webhook_id: WebhookId, reason: str, now: datetime) -> None:
        def action(connection: apsw.Connection, _batch: object) -> bool:
            connection.execute(SQL["disable_webhook"], (webhook_id, reason, to_ms(now)))
            return bool(connection.changes())

        if await self._database.write(action):
            await self._in_steps("give_up_notifications", webhook_id, reason)

    async def notification_due_at(self, *, busy: frozenset[WebhookId] = frozenset()) -> datetime | None:
        def work(connection: apsw.Connection) -> int | None:
            rows: list[tuple[Any, ...]] = connection.execute(SQL["list_owed_webhooks"]).fetchall()
            return min((moment for number, moment in rows if number not in busy), default=None)

        return from_ms_or_none(await self._database.read(work))

    async def delete_notifications(self, *, created_before: datetime, limit: int) -> int:
        def action(connection: apsw.Connection, _batch: object) -> int:
            connection.execute(SQL["delete_notifications"], (to_ms(created_before), limit))
            return int(connection.changes())

        return int(await self._database.write(action))


def _must_change(connection: apsw.Connection, name: str, values: tuple[Any, ...]) -> None:
    connection.execute(SQL[name], values)
    if not connection.changes():
        raise NotFound("no such webhook")


def _inserted(connection: apsw.Connection, row: Row | None) -> Notification:
    if row is None:
        raise NotFound("no such notification")
    found = connection.execute(f"{_NOTIFICATION} WHERE n.id = ?", (row[0],)).fetchone()
    if found is None:
        raise AssertionError("what was just stored is not there")
    return _read_notification(found)


def _choose(connection: apsw.Connection, moment: int, limit: int, busy: frozenset[WebhookId], per_webhook: int) -> list[int]:
    """The notifications to be leased, oldest due first. Looks at as many webhooks as it may lease notifications: those whose first one is
    due later have none that is among the oldest.
    """
    owed: list[tuple[Any, ...]] = connection.execute(SQL["list_owed_webhooks"]).fetchall()
    first = sorted((due_at, number) for number, due_at in owed if number not in busy and due_at <= moment)[:limit]
    due: list[tuple[int, int]] = []
    for _, number in first:
        values = (number, moment, min(limit, per_webhook))
        rows: list[tuple[Any, ...]] = connection.execute(SQL["list_due_notifications"], values).fetchall()
        due += [(due_at, notification) for notification, due_at in rows]
    return [notification for _, notification in sorted(due)[:limit]]


def _lease(connection: apsw.Connection, chosen: Sequence[int], lease: Lease, unreadable: Unreadable) -> list[ClaimedNotification]:
    """Leases those that still wait, in this order. Those that cannot be read have failed."""
    values = (lease.token, lease.owner.node, lease.owner.boot, to_json(chosen))
    leased: list[tuple[Any, ...]] = connection.execute(SQL["lease_notifications"], values).fetchall()
    query, numbers = f"{_NOTIFICATION} WHERE n.id IN (SELECT value FROM json_each(?))", {number for (number,) in leased}
    rows = unreadable.fetch(connection.execute(query, (to_json(sorted(numbers)),)), NOTIFICATION_PREFIX)
    notifications = {each.id: each for each in unreadable.keep(rows, _read_notification)}
    found = [
        unreadable.fetch(connection.execute(SQL["find_webhook"], (each,)), WEBHOOK_PREFIX)
        for each in {n.webhook_id for n in notifications.values()}
    ]
    webhooks = {each.id: each for each in unreadable.keep([row for rows in found for row in rows], _read_webhook)}
    claims = [notifications[NotificationId(number)] for number in chosen if number in notifications]
    claimed = [ClaimedNotification(notification=each, webhook=webhooks[each.webhook_id]) for each in claims if each.webhook_id in webhooks]
    failed = numbers.difference(each.notification.id for each in claimed)
    if failed:
        connection.execute(SQL["fail_notifications"], (to_json(sorted(failed)), UNREADABLE)).fetchall()
    return claimed


@row_of(WEBHOOK_PREFIX)
def _read_webhook(row: Row) -> Webhook:
    return Webhook(
        id=WebhookId(row[0]),
        account_id=AccountId(row[1]),
        url=row[2],
        events=_read_words(row[3]),
        secret=row[4],
        is_active=bool(row[5]),
        created_at=from_ms(row[6]),
        updated_at=from_ms(row[7]),
        failing_since=from_ms_or_none(row[8]),
        disabled_reason=row[9],
        mode=KeyMode(row[10]),
    )


def _read_words(text: str) -> tuple[WebhookEvent, ...]:
    """The events that a webhook asks for: those that can be read and that this version knows."""
    try:
        return tuple(WebhookEvent(word) for word in json.loads(text) if word in set(WebhookEvent))
    except FAULTS:
        return ()


@row_of(NOTIFICATION_PREFIX)
def _show_notification(row: Row) -> Notification:
    """What can be read of a notification, to be shown: without its body and what is told of its event if those are damaged."""
    try:
        return _read_notification(row)
    except RowUnreadable:
        return _read_notification((*row[:4], None, *row[5:14], *[None] * 7))


@row_of(NOTIFICATION_PREFIX)
def _read_notification(row: Row) -> Notification:
    event = read_event(row[14:]) if row[14] is not None else None
    body = read_object(row[4]) if row[4] else None
    if event is None and body is None:  # the event was kept less long than the notification
        body = {}
    return Notification(
        id=NotificationId(row[0]),
        webhook_id=WebhookId(row[1]),
        account_id=AccountId(row[2]),
        type=WebhookEvent(row[3]),
        body=body,
        origin_id=NotificationId(row[5]),
        state=NotificationState(row[6]),
        attempts=row[7],
        due_at=from_ms(row[8]),
        status_code=row[9],
        response=row[10],
        delivered_at=from_ms_or_none(row[11]),
        created_at=from_ms(row[12]),
        mode=KeyMode(row[13]) if row[13] else KeyMode.LIVE,
        event=event,
    )
