"""Chooses and leases due notifications."""

from collections.abc import Sequence
from typing import Final

from sendryd.model.ids import NOTIFICATION_PREFIX, WEBHOOK_PREFIX, NotificationId, WebhookId
from sendryd.store.base import ClaimedNotification, Lease
from sendryd.store.codec.values import to_json
from sendryd.store.codec.webhooks import read_notification, read_webhook
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_rows
from sendryd.store.drivers.unreadable import Unreadable
from sendryd.store.sql.webhooks.queries import SQL

UNREADABLE: Final = "The notification, its event or its webhook cannot be read from the database: the log of the server names it."


def choose(connection: Connection, moment: int, limit: int, busy: frozenset[WebhookId], per_webhook: int) -> list[int]:
    """The notifications to lease, oldest due first. Looks at as many webhooks as it may lease notifications: a webhook whose first one is due
    later than theirs has none among the oldest.
    """
    owed = [(row["due_at"], row["webhook_id"]) for row in fetch_rows(connection, SQL["list_owed_webhooks"])]
    first = sorted((due_at, number) for due_at, number in owed if number not in busy and due_at <= moment)[:limit]
    due: list[tuple[int, int]] = []
    for _, number in first:
        values = {"webhook_id": number, "moment": moment, "limit": min(limit, per_webhook)}
        due += [(row["due_at"], row["id"]) for row in fetch_rows(connection, SQL["list_due_notifications"], **values)]
    return [notification for _, notification in sorted(due)[:limit]]


def lease_chosen(connection: Connection, chosen: Sequence[int], lease: Lease, unreadable: Unreadable) -> list[ClaimedNotification]:
    """Leases the notifications that are still pending, in this order. Unreadable ones have failed."""
    owner = lease.owner
    values = {"token": lease.token, "node": owner.node, "boot": owner.boot, "ids": to_json(chosen)}
    numbers = {row["id"] for row in fetch_rows(connection, SQL["lease_notifications"], **values)}
    rows = unreadable.fetch(connection, SQL["get_notifications"], NOTIFICATION_PREFIX, {"ids": to_json(sorted(numbers))})
    notifications = {each.id: each for each in unreadable.keep(rows, read_notification)}
    found = [
        unreadable.fetch(connection, SQL["find_webhook"], WEBHOOK_PREFIX, {"id": each})
        for each in {n.webhook_id for n in notifications.values()}
    ]
    webhooks = {each.id: each for each in unreadable.keep([row for rows in found for row in rows], read_webhook)}
    claims = [notifications[NotificationId(number)] for number in chosen if number in notifications]
    claimed = [ClaimedNotification(notification=each, webhook=webhooks[each.webhook_id]) for each in claims if each.webhook_id in webhooks]
    failed = numbers.difference(each.notification.id for each in claimed)
    if failed:
        change(connection, SQL["fail_notifications"], ids=to_json(sorted(failed)), response=UNREADABLE)
    return claimed
