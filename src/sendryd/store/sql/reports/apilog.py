"""The log of API requests."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sendryd.model.apirequest import ApiRequest
from sendryd.model.ids import API_REQUEST_PREFIX, AccountId, ApiKeyId, ApiRequestId
from sendryd.store.base import ApiRequestFilter, Page
from sendryd.store.codec.reports import read_request, request_row
from sendryd.store.codec.values import clean_or_none, contains, first_id, id_below
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_value
from sendryd.store.sql.database import Database
from sendryd.store.sql.reports.queries import SQL


class ApiLog:
    """The part of `ReportStore` that keeps requests."""

    _database: Database

    async def add_api_requests(self, requests: Sequence[ApiRequest]) -> None:
        rows = [request_row(request) for request in requests]

        def action(connection: Connection, _batch: object) -> None:
            for row in rows:
                change(connection, SQL["insert_api_request"], **row)

        await self._database.write(action, is_alone=False)

    async def page_api_requests(
        self, account_id: AccountId, which: ApiRequestFilter, *, limit: int, before: ApiRequestId | None = None
    ) -> Page[ApiRequest]:
        values = {**_filter_values(account_id, which), "before": id_below(before), "limit": limit + 1}
        rows = await self._database.search_rows(SQL["page_api_requests"], API_REQUEST_PREFIX, **values)
        return self._database.unreadable.page(rows, read_request, limit)

    async def count_api_requests(self, account_id: AccountId, which: ApiRequestFilter) -> int:
        values = _filter_values(account_id, which)
        return int(await self._database.search(lambda connection: fetch_value(connection, SQL["count_api_requests"], **values)))

    async def count_requests_of_keys(self, account_id: AccountId, *, most: int) -> dict[ApiKeyId, tuple[int, int]]:
        rows = await self._database.read_rows(SQL["count_requests_of_keys"], account_id=account_id, most=most)
        return {ApiKeyId(row["api_key_id"]): (row["requests"], row["failed"]) for row in rows}

    async def delete_api_requests(self, *, created_before: datetime, limit: int) -> int:
        return await self._database.change(SQL["delete_api_requests"], first_kept=first_id(created_before), limit=limit)


def _filter_values(account_id: AccountId, which: ApiRequestFilter) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "method": which.method,
        "status_code": which.status_code,
        "path": clean_or_none(which.path),
        "pattern": contains(which.text) if which.text else None,
    }
