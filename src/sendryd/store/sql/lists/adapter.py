"""Suppressions and unsubscribes."""

from collections.abc import Sequence
from typing import Final

from sendryd.model.ids import SUPPRESSION_PREFIX, UNSUBSCRIBE_PREFIX, AccountId, SuppressionId, UnsubscribeId
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.store.base import Page
from sendryd.store.codec.lists import read_suppression, read_unsubscribe, suppression_row, unsubscribe_row
from sendryd.store.codec.values import contains, id_below
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row, fetch_rows
from sendryd.store.errors import NotFound
from sendryd.store.sql.database import Database
from sendryd.store.sql.lists.queries import SQL
from sendryd.store.sql.lists.suppressed import Suppressed

LAST: Final = "~"  # the key of changes of suppressions, after all others: from then on a transaction waits for nothing else


class Lists:
    """`ListStore`."""

    _database: Database
    _suppressed: Suppressed

    async def add_suppressions(self, suppressions: Sequence[Suppression]) -> int:
        rows = [suppression_row(each) for each in suppressions]

        def action(connection: Connection, _batch: object) -> int:
            return sum(len(fetch_rows(connection, SQL["insert_suppression"], **row)) for row in rows)

        count = await self._database.write(action, key=LAST)
        for each in suppressions:
            self._suppressed.add(each.account_id, (each.email,))
        return count

    async def get_suppression(self, account_id: AccountId, email: str) -> Suppression | None:
        row = await self._database.find_row(SQL["get_suppression"], account_id=account_id, email=email)
        return read_suppression(row) if row else None

    async def page_suppressions(
        self,
        account_id: AccountId,
        *,
        text: str | None = None,
        reason: SuppressionReason | None = None,
        limit: int,
        before: SuppressionId | None = None,
    ) -> Page[Suppression]:
        rows = await self._database.search_rows(
            SQL["page_suppressions"],
            SUPPRESSION_PREFIX,
            account_id=account_id,
            before=id_below(before),
            pattern=contains(text) if text else None,
            reason=reason.value if reason else None,
            limit=limit + 1,
        )
        return self._database.unreadable.page(rows, read_suppression, limit)

    async def remove_suppression(self, account_id: AccountId, email: str) -> None:
        def action(connection: Connection, _batch: object) -> None:
            if not change(connection, SQL["remove_suppression"], account_id=account_id, email=email):
                raise NotFound("no such row")

        await self._database.write(action, is_alone=False, key=LAST)
        self._suppressed.discard(account_id, email)

    async def add_unsubscribes(self, unsubscribes: Sequence[Unsubscribe]) -> list[Unsubscribe]:
        def action(connection: Connection, _batch: object) -> list[Unsubscribe]:
            standing = []
            for each in unsubscribes:
                values = unsubscribe_row(each)
                change(connection, SQL["insert_unsubscribe"], **values)
                row = fetch_row(connection, SQL["find_unsubscribe"], **values)
                standing.append(each if row is None else read_unsubscribe(row))
            return standing

        return await self._database.write(action)

    async def get_unsubscribe(self, account_id: AccountId, unsubscribe_id: UnsubscribeId) -> Unsubscribe | None:
        row = await self._database.find_row(SQL["get_unsubscribe"], account_id=account_id, id=unsubscribe_id)
        return read_unsubscribe(row) if row else None

    async def page_unsubscribes(
        self,
        account_id: AccountId,
        *,
        email: str | None = None,
        list_id: str | None = None,
        limit: int,
        before: UnsubscribeId | None = None,
    ) -> Page[Unsubscribe]:
        rows = await self._database.search_rows(
            SQL["page_unsubscribes" if email is None else "page_unsubscribes_of"],
            UNSUBSCRIBE_PREFIX,
            account_id=account_id,
            before=id_below(before),
            list_id=list_id,
            email=email,
            limit=limit + 1,
        )
        return self._database.unreadable.page(rows, read_unsubscribe, limit)

    async def remove_unsubscribe(self, account_id: AccountId, unsubscribe_id: UnsubscribeId) -> None:
        if not await self._database.change(SQL["remove_unsubscribe"], account_id=account_id, id=unsubscribe_id):
            raise NotFound("no such row")
