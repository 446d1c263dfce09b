"""Attempts and replays of notifications."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sendryd.model.ids import NOTIFICATION_PREFIX, AccountId, NotificationId, WebhookId
from sendryd.model.webhook import Notification, NotificationState, WebhookAttempt, WebhookEvent, WebhookReplay
from sendryd.store.base import NotificationFilter, Page, Standing, WebhookHealth
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import from_ms, id_below, to_json, to_ms, to_ms_or_none
from sendryd.store.codec.webhooks import read_attempt, show_notification
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows, fetch_value
from sendryd.store.errors import NotFound
from sendryd.store.sql.database import Database
from sendryd.store.sql.webhooks.queries import SQL

UNLIMITED: Final = 1 << 62  # a LIMIT for all rows

# The first condition is that of the index `notification_failing`, word by word.
_STANDINGS: Final[Mapping[Standing | None, str]] = {
    None: "TRUE",
    Standing.FAILING: "(n.state = 'failed' OR (n.state = 'pending' AND n.attempts > 0)) AND NOT EXISTS ("
    "SELECT 1 FROM notification later INDEXED BY notification_origin"
    " WHERE later.origin_id = coalesce(n.origin_id, n.id) AND later.id > n.id AND later.webhook_id = n.webhook_id)",
    Standing.WAITING: "n.id IN ("
    "SELECT id FROM notification INDEXED BY notification_due WHERE state = 'pending' AND webhook_id = :webhook_id AND attempts = 0"
    " UNION ALL SELECT id FROM notification INDEXED BY notification_leased WHERE state = 'leased' AND webhook_id = :webhook_id)",
}
_OTHERS: Final = {
    "type": "n.type = :type",
    "status_code": "n.status_code = :status_code",
    "start": "n.created_at >= :start",
    "end": "n.created_at <= :end",
}


class Replays:
    """The part of `ReplayStore` beside `NotifyStore`."""

    _database: Database

    async def list_webhook_attempts(
        self, account_id: AccountId, notification_ids: Sequence[NotificationId], *, is_last: bool = False
    ) -> Mapping[NotificationId, Sequence[WebhookAttempt]]:
        values = {"account_id": account_id, "ids": to_json(notification_ids), "is_last": is_last}
        rows = await self._database.list_rows(SQL["list_attempts"], NOTIFICATION_PREFIX, **values)
        found: dict[NotificationId, list[WebhookAttempt]] = {}
        for number, attempt in self._database.unreadable.keep(rows, lambda row: (NotificationId(row["id"]), read_attempt(row))):
            found.setdefault(number, []).append(attempt)
        return found

    async def read_webhook_health(self, account_id: AccountId, webhook_id: WebhookId, *, since: datetime, limit: int) -> WebhookHealth:
        rows = await self._database.read_rows(
            SQL["list_health"], account_id=account_id, webhook_id=webhook_id, since=to_ms(since), limit=limit
        )
        answered = [row for row in rows if row["status_code"] is not None]
        return WebhookHealth(
            attempts=len(rows),
            successes=sum(200 <= row["status_code"] < 300 for row in answered),
            durations=tuple(sorted(row["duration_ms"] for row in answered)),
        )

    async def search_notifications(
        self, account_id: AccountId, webhook_id: WebhookId, which: NotificationFilter, *, limit: int, before: NotificationId | None = None
    ) -> Page[Notification]:
        text = statement("search_notifications", which)
        values = {**_values(which), "account_id": account_id, "webhook_id": webhook_id, "before": id_below(before), "limit": limit + 1}
        rows = await self._database.search_rows(text, NOTIFICATION_PREFIX, **values)
        return self._database.unreadable.page(rows, show_notification, limit)

    async def count_notifications(
        self, account_id: AccountId, webhook_id: WebhookId, which: NotificationFilter, *, limit: int | None = None
    ) -> int:
        text = statement("count_notifications", which)
        most = UNLIMITED if limit is None else limit
        values = {**_values(which), "account_id": account_id, "webhook_id": webhook_id, "limit": most}
        return int(await self._database.search(lambda connection: fetch_value(connection, text, **values)))

    async def send_again(
        self, account_id: AccountId, webhook_id: WebhookId, notification_ids: Sequence[NotificationId], now: datetime
    ) -> int:
        values = {"account_id": account_id, "webhook_id": webhook_id, "ids": to_json(notification_ids)}

        def action(connection: Connection, _batch: object) -> int:
            delivered = fetch_rows(connection, SQL["list_delivered"], **values)
            for row in delivered:
                fetch_row(connection, SQL["replay_notification"], account_id=account_id, id=row["id"], moment=to_ms(now))
            return len(delivered) + change(connection, SQL["retry_notifications"], **values, moment=to_ms(now), replay_id=None)

        return await self._database.write(action)

    async def add_replay(self, account_id: AccountId, webhook_id: WebhookId, which: NotificationFilter, *, by: str, now: datetime) -> int:
        total = await self.count_notifications(account_id, webhook_id, which)
        values = {"type": None, "status_code": None, **_values(which), "webhook_id": webhook_id, "total": total, "by": by}

        def action(connection: Connection, _batch: object) -> None:
            if fetch_row(connection, SQL["get_webhook"], account_id=account_id, id=webhook_id) is None:
                raise NotFound("no such webhook")
            last_id = fetch_value(connection, SQL["newest_notification"], webhook_id=webhook_id) or 0
            change(connection, SQL["drop_replays"], webhook_id=webhook_id)
            change(connection, SQL["insert_replay"], **values, last_id=last_id, moment=to_ms(now))

        await self._database.write(action)
        return total

    async def work_off_replays(self, *, now: datetime, limit: int) -> list[WebhookId]:
        if not await self._database.find_rows(SQL["list_unfinished_replays"]):
            return []
        steps = await self._database.read(lambda connection: _choose(connection, limit))
        return await self._database.write(
            lambda connection, _: [_make(connection, row, ids, limit, to_ms(now)) for row, ids in steps], is_alone=False
        )

    async def get_replay(self, account_id: AccountId, webhook_id: WebhookId) -> WebhookReplay | None:
        def work(connection: Connection) -> tuple[Row, dict[str, int]] | None:
            row = fetch_row(connection, SQL["get_replay"], account_id=account_id, webhook_id=webhook_id)
            if row is None:
                return None
            return row, {each["state"]: each["number"] for each in fetch_rows(connection, SQL["count_replay"], replay_id=row["id"])}

        found = await self._database.read(work)
        if found is None:
            return None
        row, states = found
        return WebhookReplay(
            total=row["total"],
            unmade=0 if row["finished_at"] is not None else max(0, row["total"] - row["made"]),
            waiting=states.get(NotificationState.PENDING, 0) + states.get(NotificationState.LEASED, 0),
            delivered=states.get(NotificationState.DELIVERED, 0),
            failed=states.get(NotificationState.FAILED, 0),
            made_by=row["made_by"],
            created_at=from_ms(row["created_at"]),
        )


def _choose(connection: Connection, limit: int) -> list[tuple[Row, list[int]]]:
    """Each unfinished replay with the ids of its next notifications."""
    steps = []
    for row in fetch_rows(connection, SQL["list_unfinished_replays"]):
        which = NotificationFilter(
            standing=Standing.FAILING,
            type=WebhookEvent(row["type"]) if row["type"] is not None else None,
            status_code=row["status_code"],
            start=from_ms(row["start_at"]),
            end=from_ms(row["end_at"]),
        )
        text = statement("list_failing", which)
        values = {**_values(which), **{name: row[name] for name in ("webhook_id", "seen_id", "last_id")}}
        steps.append((row, [each["id"] for each in fetch_rows(connection, text, **values, limit=limit)]))
    return steps


def _make(connection: Connection, row: Row, ids: Sequence[int], limit: int, moment: int) -> WebhookId:
    """Makes the chosen notifications due, unless another process has."""
    is_over = len(ids) < limit
    next_id = row["last_id"] if is_over else ids[-1]
    step = {"id": row["id"], "seen_id": row["seen_id"], "next_id": next_id, "finished_at": moment if is_over else None}
    if change(connection, SQL["move_replay"], **step):
        owner = {"account_id": row["account_id"], "webhook_id": row["webhook_id"]}
        made = change(connection, SQL["retry_notifications"], **owner, ids=to_json(ids), moment=moment, replay_id=row["id"])
        change(connection, SQL["count_replayed"], id=row["id"], made=made)
    return WebhookId(row["webhook_id"])


def statement(name: str, which: NotificationFilter) -> Statement:
    """A named statement with the conditions of a filter: one statement for all filters would use no index."""
    conditions = [_STANDINGS[which.standing], *(text for field, text in _OTHERS.items() if getattr(which, field) is not None)]
    found = SQL[name].where(" AND ".join(conditions))
    if which.standing is Standing.FAILING:
        return found.replaced("FROM notification n", "FROM notification n INDEXED BY notification_failing")
    return found


def _values(which: NotificationFilter) -> dict[str, Any]:
    """The parameters of the conditions."""
    values = {
        "type": which.type.value if which.type is not None else None,
        "status_code": which.status_code,
        "start": to_ms_or_none(which.start),
        "end": to_ms_or_none(which.end),
    }
    return {name: value for name, value in values.items() if value is not None}
