"""The log of the SMTP door."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sendryd.model.blockedaddress import BlockedAddress
from sendryd.model.ids import SMTP_REFUSAL_PREFIX, AccountId, SmtpRefusalId
from sendryd.model.smtprefusal import SmtpRefusal
from sendryd.store.base import Page
from sendryd.store.codec.reports import blocked_row, read_blocked, read_refusal, refusal_row
from sendryd.store.codec.values import contains, first_id, id_below, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_rows, fetch_value
from sendryd.store.errors import NotFound
from sendryd.store.rules import check_limit
from sendryd.store.sql.database import Database
from sendryd.store.sql.reports.queries import SQL


class Refusals:
    """`RefusalStore`."""

    _database: Database

    async def add_smtp_refusals(
        self, refusals: Sequence[SmtpRefusal], more: Mapping[SmtpRefusalId, int], *, keep_since: datetime, most: int
    ) -> None:
        rows = [refusal_row(refusal) for refusal in refusals]

        def action(connection: Connection, _batch: object) -> None:
            for row in rows:
                change(connection, SQL["insert_smtp_refusal"], **row)
            for number, count in sorted(more.items()):
                change(connection, SQL["count_smtp_refusals"], id=number, more=count)
            change(connection, SQL["prune_smtp_refusals"], first_kept=first_id(keep_since), most=most)

        await self._database.write(action, is_alone=False)

    async def page_smtp_refusals(
        self, account_id: AccountId | None, *, text: str | None = None, limit: int, before: SmtpRefusalId | None = None
    ) -> Page[SmtpRefusal]:
        values = {
            "account_id": account_id,
            "pattern": contains(text) if text else None,
            "before": id_below(before),
            "limit": limit + 1,
        }
        rows = await self._database.search_rows(SQL["page_smtp_refusals"], SMTP_REFUSAL_PREFIX, **values)
        return self._database.unreadable.page(rows, read_refusal, limit)

    async def block_address(self, blocked: BlockedAddress, *, limit: int) -> None:
        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["delete_ended_blocks"], moment=to_ms(blocked.since))
            change(connection, SQL["put_blocked_address"], **blocked_row(blocked))
            check_limit(fetch_value(connection, SQL["count_blocked_addresses"]), limit, "blocked address", "let one in again first")

        await self._database.write(action)

    async def unblock_address(self, network: str) -> None:
        def action(connection: Connection, _batch: object) -> None:
            if not change(connection, SQL["delete_blocked_address"], network=network):
                raise NotFound("the address is not blocked")

        await self._database.write(action)

    async def list_blocked_addresses(self) -> list[BlockedAddress]:
        rows = await self._database.read(lambda connection: fetch_rows(connection, SQL["list_blocked_addresses"]))
        return [read_blocked(row) for row in rows]
