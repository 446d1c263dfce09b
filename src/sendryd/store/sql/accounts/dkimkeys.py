"""DKIM keys of domains that rotate them."""

from datetime import datetime

from sendryd.model.domain import DkimKey, DnsRecord, SendingDomain
from sendryd.model.ids import DkimKeyId, DomainId
from sendryd.store.base import NewDkimKey
from sendryd.store.codec.domains import dkim_key_row, read_dkim_key, records_json
from sendryd.store.codec.values import to_ms, to_ms_or_none
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statements import change, fetch_row
from sendryd.store.errors import NotFound
from sendryd.store.rules import check_activation, check_new_selector, check_unchanged
from sendryd.store.sql.accounts.adapter import get_domain
from sendryd.store.sql.accounts.queries import SQL
from sendryd.store.sql.database import Database


class DkimKeys:
    """`DkimKeyStore`."""

    _database: Database

    async def add_dkim_key(self, new: NewDkimKey) -> None:
        def action(connection: Connection, _batch: object) -> None:
            domain = get_domain(connection, new.key.domain_id)
            check_new_selector(domain.selector, new.key.selector)
            change(connection, SQL["insert_dkim_key"], **dkim_key_row(new))

        await self._database.write(action)

    async def list_dkim_keys(self, domain_id: DomainId) -> list[DkimKey]:
        return [read_dkim_key(row) for row in await self._database.find_rows(SQL["list_dkim_keys"], domain_id=domain_id)]

    async def list_pending_dkim_keys(self) -> list[DkimKey]:
        return [read_dkim_key(row) for row in await self._database.read_rows(SQL["list_pending_dkim_keys"])]

    async def note_dkim_key(self, key_id: DkimKeyId, seen_at: datetime | None) -> None:
        await self._database.change(SQL["note_dkim_key"], id=key_id, seen_at=to_ms_or_none(seen_at))

    async def activate_dkim_key(
        self, before: SendingDomain, key_id: DkimKeyId, records: tuple[DnsRecord, ...], now: datetime
    ) -> SendingDomain:
        def action(connection: Connection, _batch: object) -> SendingDomain:
            check_unchanged(get_domain(connection, before.id).public_key, before.public_key, "the domain")
            row = fetch_row(connection, SQL["get_pending_dkim_key"], id=key_id, domain_id=before.id)
            if row is None:
                raise NotFound("no such pending key")
            key = read_dkim_key(row)
            check_activation(key, now)
            # The first key of a domain gets the domain's id: no other key has it, and it sorts before all that were made later.
            change(connection, SQL["retire_dkim_key"], id=before.id, domain_id=before.id, now=to_ms(now))
            change(connection, SQL["activate_dkim_key"], id=key_id, now=to_ms(now))
            values = {"selector": key.selector, "public_key": key.public_key, "private_key": row["private_key"]}
            change(connection, SQL["set_domain_key"], id=before.id, records=records_json(records), **values)
            return get_domain(connection, before.id)

        return await self._database.write(action)

    async def remove_dkim_key(self, key_id: DkimKeyId) -> None:
        if not await self._database.change(SQL["remove_dkim_key"], id=key_id):
            raise NotFound("no such pending or retired key")
