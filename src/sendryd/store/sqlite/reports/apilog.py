"""The log of API requests in SQLite."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import apsw

from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import API_REQUEST_PREFIX, AccountId, ApiKeyId, ApiRequestId
from sendryd.store.base import ApiRequestFilter, Page
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import clean, contains, first_id, from_ms, to_ms
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.reports.queries import SQL

_LAST: Final = 1 << 62


class ApiLog:
    """The part of `ReportStore` that keeps requests."""

    _database: Database

    async def add_api_requests(self, requests: Sequence[ApiRequest]) -> None:
        values = [_request_row(request) for request in requests]
        await self._database.write(lambda connection, _: connection.executemany(SQL["insert_api_request"], values).fetchall())

    async def page_api_requests(
        self, account_id: AccountId, which: ApiRequestFilter, *, limit: int, before: ApiRequestId | None = None
    ) -> Page[ApiRequest]:
        values = (*_filter_values(account_id, which), _LAST if before is None else before, limit + 1)
        unreadable = self._database.unreadable
        rows = await self._database.search(
            lambda connection: unreadable.fetch(connection.execute(SQL["page_api_requests"], values), API_REQUEST_PREFIX)
        )
        return Page(items=unreadable.keep(rows[:limit], _read_request), has_more=len(rows) > limit)

    async def count_api_requests(self, account_id: AccountId, which: ApiRequestFilter) -> int:
        values = _filter_values(account_id, which)
        row = await self._database.search(lambda connection: connection.execute(SQL["count_api_requests"], values).fetchone())
        return int(row[0]) if row else 0

    async def delete_api_requests(self, *, created_before: datetime, limit: int) -> int:
        def action(connection: apsw.Connection, _batch: object) -> int:
            connection.execute(SQL["delete_api_requests"], (first_id(created_before), limit))
            return int(connection.changes())

        return int(await self._database.write(action))


def _filter_values(account_id: AccountId, which: ApiRequestFilter) -> tuple[Any, ...]:
    """The first five values of the statements that filter."""
    path = None if which.path is None else clean(which.path)
    return account_id, which.method, which.status_code, path, contains(which.text) if which.text else None


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _request_row(request: ApiRequest) -> tuple[Any, ...]:
    return (
        request.id,
        request.account_id,
        request.api_key_id,
        clean(request.method),
        clean(request.path),
        request.status_code,
        _clean_or_none(request.request_body),
        _clean_or_none(request.response_body),
        request.duration_ms,
        _clean_or_none(request.user_agent),
        to_ms(request.created_at),
    )


@row_of(API_REQUEST_PREFIX)
def _read_request(row: Row) -> ApiRequest:
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
