"""The log of API requests in SQLite."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import apsw

from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import AccountId, ApiKeyId, ApiRequestId
from sendryd.store.base import ApiRequestFilter, Page
from sendryd.store.sqlite.database import Database
from sendryd.store.sqlite.queries import SQL
from sendryd.store.sqlite.rows import clean, contains, first_id, from_ms, to_ms

_LAST: Final = 1 << 62
_COLUMNS: Final = "id, account_id, api_key_id, method, path, status_code, request_body, response_body, duration_ms, user_agent, created_at"


class ApiLog:
    """The request log of `ReportStore`."""

    _database: Database

    async def add_api_requests(self, requests: Sequence[ApiRequest]) -> None:
        rows = [
            (
                each.id,
                each.account_id,
                each.api_key_id,
                each.method,
                clean(each.path),
                each.status_code,
                each.request_body,
                each.response_body,
                each.duration_ms,
                clean(each.user_agent) if each.user_agent else None,
                to_ms(each.created_at),
            )
            for each in requests
        ]
        await self._database.write(lambda connection, _: connection.executemany(SQL["insert_api_request"], rows).fetchall())

    async def page_api_requests(
        self, account_id: AccountId, which: ApiRequestFilter, *, limit: int, before: ApiRequestId | None = None
    ) -> Page[ApiRequest]:
        condition, values = _condition(account_id, which)
        query = f"SELECT {_COLUMNS} FROM api_request WHERE {condition} AND id < ? ORDER BY id DESC LIMIT ?"
        values += [_LAST if before is None else before, limit + 1]
        rows: list[tuple[Any, ...]] = await self._database.read(lambda connection: connection.execute(query, values).fetchall())
        return Page(items=tuple(_read(row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def count_api_requests(self, account_id: AccountId, which: ApiRequestFilter) -> int:
        condition, values = _condition(account_id, which)
        query = f"SELECT count(*) FROM api_request WHERE {condition}"
        row = await self._database.read(lambda connection: connection.execute(query, values).fetchone())
        return int(row[0]) if row else 0

    async def delete_api_requests(self, *, created_before: datetime, limit: int) -> int:
        def action(connection: apsw.Connection, _rows: object) -> int:
            connection.execute(SQL["delete_api_requests"], (first_id(created_before), limit))
            return int(connection.changes())

        return int(await self._database.write(action))


def _condition(account_id: AccountId, which: ApiRequestFilter) -> tuple[str, list[Any]]:
    conditions: list[str] = ["account_id = ?"]
    found: list[Any] = [account_id]
    for column, value in (("method", which.method), ("status_code", which.status_code), ("path", which.path)):
        if value is not None:
            conditions.append(f"{column} = ?")
            found.append(value)
    if which.text:
        conditions.append("(path LIKE ? ESCAPE '\\' OR method LIKE ? ESCAPE '\\')")
        found += [contains(which.text)] * 2
    return " AND ".join(conditions), found


def _read(row: Sequence[Any]) -> ApiRequest:
    return ApiRequest(
        id=ApiRequestId(row[0]),
        account_id=AccountId(row[1]),
        api_key_id=ApiKeyId(row[2]),
        method=row[3],
        path=row[4],
        status_code=row[5],
        request_body=row[6],
        response_body=row[7],
        duration_ms=row[8],
        user_agent=row[9],
        created_at=from_ms(row[10]),
    )
