"""Suppressions and unsubscribes in SQLite."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from sendryd.model.ids import SUPPRESSION_PREFIX, UNSUBSCRIBE_PREFIX, AccountId, SuppressionId, UnsubscribeId
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.store.base import Page
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import contains, from_ms, to_ms
from sendryd.store.errors import NotFound
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.lists.queries import SQL
from sendryd.store.sqlite.lists.suppressed import Suppressed

_LAST: Final = 1 << 62


class Lists:
    """`ListStore`."""

    _database: Database
    _suppressed: Suppressed

    async def add_suppressions(self, suppressions: Sequence[Suppression]) -> int:
        rows = [(each.id, each.account_id, each.email, each.reason.value, to_ms(each.created_at)) for each in suppressions]

        def action(connection: apsw.Connection, _batch: object) -> int:
            return len(connection.executemany(SQL["insert_suppression"], rows).fetchall())

        count = int(await self._database.write(action))
        for each in suppressions:
            self._suppressed.add(each.account_id, (each.email,))
        return count

    async def get_suppression(self, account_id: AccountId, email: str) -> Suppression | None:
        row = self._database.fetch_one(SQL["get_suppression"], account_id, email)
        return _read_suppression(row) if row else None

    async def page_suppressions(
        self,
        account_id: AccountId,
        *,
        text: str | None = None,
        reason: SuppressionReason | None = None,
        limit: int,
        before: SuppressionId | None = None,
    ) -> Page[Suppression]:
        pattern = contains(text) if text else None
        values = (account_id, _LAST if before is None else before, pattern, reason.value if reason else None, limit + 1)
        unreadable = self._database.unreadable
        rows = await self._database.search(
            lambda connection: unreadable.fetch(connection.execute(SQL["page_suppressions"], values), SUPPRESSION_PREFIX)
        )
        return Page(items=unreadable.keep(rows[:limit], _read_suppression), has_more=len(rows) > limit)

    async def remove_suppression(self, account_id: AccountId, email: str) -> None:
        await self._remove("remove_suppression", account_id, email)
        self._suppressed.discard(account_id, email)

    async def add_unsubscribes(self, unsubscribes: Sequence[Unsubscribe]) -> list[Unsubscribe]:
        def action(connection: apsw.Connection, _batch: object) -> list[Unsubscribe]:
            standing = []
            for each in unsubscribes:
                values = (each.id, each.account_id, each.email, each.list_id or "", each.reason, to_ms(each.created_at))
                connection.execute(SQL["insert_unsubscribe"], values)
                row = connection.execute(SQL["find_unsubscribe"], (each.account_id, each.email, each.list_id or "")).fetchone()
                standing.append(each if row is None else _read_unsubscribe(row))
            return standing

        standing: list[Unsubscribe] = await self._database.write(action)
        return standing

    async def get_unsubscribe(self, account_id: AccountId, unsubscribe_id: UnsubscribeId) -> Unsubscribe | None:
        row = self._database.fetch_one(SQL["get_unsubscribe"], account_id, unsubscribe_id)
        return _read_unsubscribe(row) if row else None

    async def page_unsubscribes(
        self,
        account_id: AccountId,
        *,
        email: str | None = None,
        list_id: str | None = None,
        limit: int,
        before: UnsubscribeId | None = None,
    ) -> Page[Unsubscribe]:
        name = "page_unsubscribes"
        values: tuple[Any, ...] = (account_id, _LAST if before is None else before, list_id, limit + 1)
        if email is not None:
            name, values = "page_unsubscribes_of", (*values, email)
        unreadable = self._database.unreadable
        rows = await self._database.search(lambda connection: unreadable.fetch(connection.execute(SQL[name], values), UNSUBSCRIBE_PREFIX))
        return Page(items=unreadable.keep(rows[:limit], _read_unsubscribe), has_more=len(rows) > limit)

    async def remove_unsubscribe(self, account_id: AccountId, unsubscribe_id: UnsubscribeId) -> None:
        await self._remove("remove_unsubscribe", account_id, unsubscribe_id)

    async def _remove(self, name: str, account_id: AccountId, which: str | int) -> None:
        def action(connection: apsw.Connection, _batch: object) -> None:
            connection.execute(SQL[name], (account_id, which))
            if not connection.changes():
                raise NotFound("no such row")

        await self._database.write(action)


@row_of(SUPPRESSION_PREFIX)
def _read_suppression(row: Row) -> Suppression:
    number, account_id, email, reason, created_at = row
    return Suppression(
        id=SuppressionId(number),
        account_id=AccountId(account_id),
        email=email,
        reason=SuppressionReason(reason),
        created_at=from_ms(created_at),
    )


@row_of(UNSUBSCRIBE_PREFIX)
def _read_unsubscribe(row: Row) -> Unsubscribe:
    number, account_id, email, list_id, reason, created_at = row
    return Unsubscribe(
        id=UnsubscribeId(number),
        account_id=AccountId(account_id),
        email=email,
        list_id=list_id or None,
        reason=reason,
        created_at=from_ms(created_at),
    )
