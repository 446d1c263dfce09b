"""Mail that came in."""

from collections.abc import Sequence
from datetime import datetime

from sendryd.model.ids import INBOUND_PREFIX, AccountId, InboundId
from sendryd.model.inbound import InboundMail
from sendryd.store.base import Page
from sendryd.store.codec.inbound import inbound_row, read_inbound
from sendryd.store.codec.values import first_id, id_below, to_ms, to_ms_or_none
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row
from sendryd.store.sql.database import Database
from sendryd.store.sql.inbound.queries import SQL


class Inbound:
    """`InboundStore`."""

    _database: Database

    async def find_receiving_account(self, name: str) -> AccountId | None:
        row = await self._database.find_row(SQL["find_receiving_account"], name=name)
        return AccountId(row["account_id"]) if row else None

    async def has_reader(self, account_id: AccountId) -> bool:
        return await self._database.find_row(SQL["find_reader"], account_id=account_id) is not None

    async def add_inbound(self, mails: Sequence[InboundMail]) -> frozenset[InboundId]:
        rows = [inbound_row(mail) for mail in mails]
        octets = sum(len(row["content"]) for row in rows)
        self._database.check_room(octets)

        def action(connection: Connection, _batch: object) -> frozenset[InboundId]:
            accounts = {row["account_id"] for row in rows}
            present = {each for each in accounts if _is_present(connection, each)}
            taken = [row for row in rows if row["account_id"] in present]
            for row in taken:
                change(connection, SQL["insert_inbound"], **row)
            return frozenset(InboundId(row["id"]) for row in taken)

        return await self._database.write(action)

    async def get_inbound(self, account_id: AccountId, inbound_id: InboundId) -> InboundMail | None:
        row = await self._database.find_row(SQL["get_inbound"], account_id=account_id, id=inbound_id)
        return read_inbound(row) if row else None

    async def page_inbound(self, account_id: AccountId, *, limit: int, before: InboundId | None = None) -> Page[InboundMail]:
        values = {"account_id": account_id, "before": id_below(before), "limit": limit + 1}
        rows = await self._database.search_rows(SQL["page_inbound"], INBOUND_PREFIX, **values)
        return self._database.unreadable.page(rows, read_inbound, limit)

    async def list_inbound_due(self, now: datetime, *, limit: int) -> list[InboundMail]:
        rows = await self._database.list_rows(SQL["list_inbound_due"], INBOUND_PREFIX, moment=to_ms(now), limit=limit)
        return list(self._database.unreadable.keep(rows, read_inbound))

    async def note_forwarding(self, inbound_id: InboundId, *, is_forwarded: bool, due_at: datetime | None) -> None:
        values = {"is_forwarded": int(is_forwarded), "due_at": to_ms_or_none(due_at)}
        await self._database.change(SQL["note_forwarding"], id=inbound_id, **values)

    async def delete_inbound(self, *, created_before: datetime, limit: int) -> int:
        return await self._database.change(SQL["delete_inbound"], first_kept=first_id(created_before), limit=limit)


def _is_present(connection: Connection, account_id: int) -> bool:
    """Whether an account has a reader or a domain: one that was deleted has neither."""
    return any(fetch_row(connection, SQL[name], account_id=account_id) is not None for name in ("find_reader", "find_any_domain"))
