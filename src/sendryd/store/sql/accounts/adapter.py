"""Accounts, keys and sending domains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sendryd.model.account import Account, AccountSettings
from sendryd.model.apikey import ApiKey, KeyUse
from sendryd.model.domain import Bimi, DnsRecord, DomainSettings, PastCheck, SendingDomain
from sendryd.model.ids import API_KEY_PREFIX, DOMAIN_PREFIX, AccountId, ApiKeyId, DomainId
from sendryd.store.base import MAX_CHECKS, DomainCheck, NewApiKey, NewDomain, Notice, Page, check_state
from sendryd.store.codec.accounts import account_settings_json, read_account
from sendryd.store.codec.api_keys import api_key_row, read_api_key
from sendryd.store.codec.domains import (
    bimi_row,
    check_row,
    domain_row,
    past_check_row,
    read_bimi,
    read_domain,
    read_past_check,
    records_json,
    settings_json,
)
from sendryd.store.codec.reading import Row
from sendryd.store.codec.values import contains, id_below, to_json, to_ms
from sendryd.store.drivers.connection import Connection
from sendryd.store.drivers.statement import Statement
from sendryd.store.drivers.statements import change, fetch_row, fetch_value
from sendryd.store.errors import NotFound
from sendryd.store.rules import check_limit, check_rotation, check_unchanged
from sendryd.store.sql.accounts.queries import SQL
from sendryd.store.sql.database import Database
from sendryd.store.sql.webhooks.outbox import owe


class Accounts:
    """`AccountStore`."""

    _database: Database

    async def ensure_account(self, account_id: AccountId, name: str, now: datetime) -> bool:
        return bool(await self._database.change(SQL["insert_account"], id=account_id, name=name, created_at=to_ms(now)))

    async def get_account(self, account_id: AccountId) -> Account | None:
        row = await self._database.find_row(SQL["get_account"], id=account_id)
        return read_account(row) if row else None

    async def list_accounts(self) -> list[Account]:
        return [read_account(row) for row in await self._database.find_rows(SQL["list_accounts"])]

    async def set_account(self, before: Account, *, name: str, settings: AccountSettings) -> Account:
        def action(connection: Connection, _batch: object) -> Account:
            found = read_account(_require(fetch_row(connection, SQL["get_account"], id=before.id), "account"))
            check_unchanged((found.name, found.settings), (before.name, before.settings), "the account")
            change(connection, SQL["set_account"], id=before.id, name=name, settings=account_settings_json(settings))
            return replace(found, name=name, settings=settings)

        return await self._database.write(action)

    async def add_api_key(self, new: NewApiKey, *, limit: int | None = None) -> None:
        key = new.key

        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["insert_api_key"], **api_key_row(new))
            values = {"account_id": key.account_id, "mode": key.mode.value, "moment": to_ms(key.created_at)}
            check_limit(fetch_value(connection, SQL["count_active_keys"], **values), limit, "API key", "revoke one first")

        await self._database.write(action)

    async def rotate_api_key(self, account_id: AccountId, key_id: ApiKeyId, new: NewApiKey, revoke_at: datetime) -> None:
        def action(connection: Connection, _batch: object) -> None:
            check_rotation(_get_key(connection, account_id, key_id), new.key)
            change(connection, SQL["insert_api_key"], **api_key_row(new))
            change(connection, SQL["revoke_api_key"], account_id=account_id, id=key_id, revoked_at=to_ms(revoke_at))

        await self._database.write(action)

    async def find_api_key(self, secret_hash: bytes) -> ApiKey | None:
        row = await self._database.find_row(SQL["find_api_key"], secret_hash=secret_hash)
        return read_api_key(row) if row else None

    async def list_api_keys(self, account_id: AccountId) -> list[ApiKey]:
        rows = await self._database.list_rows(SQL["list_api_keys"], API_KEY_PREFIX, account_id=account_id)
        return list(self._database.unreadable.keep(rows, read_api_key))

    async def page_api_keys(self, account_id: AccountId, *, limit: int, before: ApiKeyId | None = None) -> Page[ApiKey]:
        values = {"account_id": account_id, "before": id_below(before), "limit": limit + 1}
        rows = await self._database.list_rows(SQL["page_api_keys"], API_KEY_PREFIX, **values)
        return self._database.unreadable.page(rows, read_api_key, limit)

    async def revoke_api_key(self, account_id: AccountId, key_id: ApiKeyId, at: datetime) -> ApiKey:
        def action(connection: Connection, _batch: object) -> ApiKey:
            change(connection, SQL["revoke_api_key"], account_id=account_id, id=key_id, revoked_at=to_ms(at))
            return _get_key(connection, account_id, key_id)

        return await self._database.write(action)

    async def touch_api_keys(self, used: Mapping[ApiKeyId, KeyUse]) -> None:
        def action(connection: Connection, _batch: object) -> None:
            for key_id, use in sorted(used.items()):
                change(connection, SQL["touch_api_key"], id=key_id, last_used_at=to_ms(use.at), last_used_from=use.address)

        await self._database.write(action, is_alone=False)

    async def add_domain(self, new: NewDomain, notice: Notice | None = None, *, limit: int | None = None) -> None:
        account_id = new.domain.account_id

        def action(connection: Connection, _batch: object) -> None:
            change(connection, SQL["insert_domain"], **domain_row(new))
            count = fetch_value(connection, SQL["count_domains"], account_id=account_id, pattern=None)
            check_limit(count, limit, "domain", "remove one first")
            owe(connection, account_id, notice)

        await self._database.write(action)

    async def find_domain(self, account_id: AccountId, name: str) -> SendingDomain | None:
        row = await self._database.find_row(SQL["find_domain"], account_id=account_id, name=name)
        return read_domain(row) if row else None

    async def get_domain(self, domain_id: DomainId) -> SendingDomain | None:
        row = await self._database.find_row(SQL["get_domain"], id=domain_id)
        return read_domain(row) if row else None

    async def list_domains(self, account_id: AccountId | None = None) -> list[SendingDomain]:
        rows = await self._database.list_rows(SQL["list_domains"], DOMAIN_PREFIX, account_id=account_id)
        return list(self._database.unreadable.keep(rows, read_domain))

    async def page_domains(
        self, account_id: AccountId, *, text: str | None = None, limit: int, before: DomainId | None = None
    ) -> Page[SendingDomain]:
        values = {"account_id": account_id, "before": id_below(before), "pattern": _pattern(text), "limit": limit + 1}
        rows = await self._database.list_rows(SQL["page_domains"], DOMAIN_PREFIX, **values)
        return self._database.unreadable.page(rows, read_domain, limit)

    async def count_domains(self, account_id: AccountId, *, text: str | None = None) -> int:
        return int(await self._database.read_value(SQL["count_domains"], account_id=account_id, pattern=_pattern(text)))

    async def read_smarthost_password(self, domain_id: DomainId) -> str:
        row = await self._database.find_row(SQL["read_smarthost_password"], id=domain_id)
        return row["smarthost_password"] if row else ""

    async def read_private_key(self, domain_id: DomainId) -> bytes | None:
        row = await self._database.find_row(SQL["read_private_key"], id=domain_id)
        return bytes(row["private_key"]) if row else None

    async def record_domain_check(self, before: SendingDomain, check: DomainCheck, notice: Notice | None = None) -> SendingDomain:
        def keep(connection: Connection) -> None:
            if check.past is not None:
                change(connection, SQL["insert_domain_check"], **past_check_row(before.id, check.past))
                change(connection, SQL["delete_old_domain_checks"], domain_id=before.id, keep=MAX_CHECKS)

        return await self._change_domain(before, check_state, SQL["record_domain_check"], check_row(check), notice, keep)

    async def list_domain_checks(self, domain_id: DomainId, *, limit: int = MAX_CHECKS) -> list[PastCheck]:
        return [read_past_check(row) for row in await self._database.find_rows(SQL["list_domain_checks"], domain_id=domain_id, limit=limit)]

    async def set_domain_settings(
        self,
        before: SendingDomain,
        settings: DomainSettings,
        notice: Notice | None = None,
        *,
        records: Sequence[DnsRecord] | None = None,
        smarthost_password: str | None = None,
    ) -> SendingDomain:
        values = {
            "settings": settings_json(settings),
            "records": None if records is None else records_json(records),
            "password": smarthost_password,
        }
        return await self._change_domain(before, lambda domain: domain.settings, SQL["set_domain_settings"], values, notice)

    async def _change_domain(
        self,
        before: SendingDomain,
        compared: Callable[[SendingDomain], object],
        statement: Statement,
        values: Mapping[str, Any],
        notice: Notice | None,
        also: Callable[[Connection], None] = lambda _connection: None,
    ) -> SendingDomain:
        def action(connection: Connection, _batch: object) -> SendingDomain:
            check_unchanged(compared(get_domain(connection, before.id)), compared(before), "the domain")
            change(connection, statement, id=before.id, **values)
            also(connection)
            owe(connection, before.account_id, notice)
            return get_domain(connection, before.id)

        return await self._database.write(action)

    async def remove_domain(self, domain_id: DomainId, now: datetime, notice: Notice | None = None) -> None:
        def action(connection: Connection, _batch: object) -> None:
            row = _require(fetch_row(connection, SQL["get_domain"], id=domain_id), "domain")
            change(connection, SQL["insert_removed_domain"], id=domain_id, removed_at=to_ms(now))
            change(connection, SQL["remove_domain"], id=domain_id)
            owe(connection, row["account_id"], notice)

        await self._database.write(action)

    async def delete_removed_domains(self, *, created_before: datetime, limit: int) -> int:
        old = await self._database.read_rows(SQL["list_old_removed_domains"], created_before=to_ms(created_before), limit=limit)
        if old:
            await self._database.change(SQL["delete_removed_domains"], ids=to_json([row["id"] for row in old]))
        return len(old)

    async def find_successor(self, domain_id: DomainId) -> DomainId | None:
        row = await self._database.find_row(SQL["find_successor"], id=domain_id)
        return DomainId(row["id"]) if row else None

    async def get_bimi(self, domain_id: DomainId) -> Bimi | None:
        row = await self._database.find_row(SQL["get_bimi"], domain_id=domain_id)
        return read_bimi(row) if row else None

    async def set_bimi(self, domain_id: DomainId, before: Bimi | None, bimi: Bimi | None) -> None:
        def action(connection: Connection, _batch: object) -> None:
            get_domain(connection, domain_id)
            row = fetch_row(connection, SQL["get_bimi"], domain_id=domain_id)
            check_unchanged(read_bimi(row) if row else None, before, "the logo")
            if bimi is None:
                change(connection, SQL["remove_bimi"], domain_id=domain_id)
            else:
                change(connection, SQL["set_bimi"], **bimi_row(domain_id, bimi))

        await self._database.write(action)

    async def ensure_secret(self, name: str, value: bytes) -> bytes:
        def action(connection: Connection, _batch: object) -> bytes:
            change(connection, SQL["insert_secret"], name=name, value=value)
            return bytes(fetch_value(connection, SQL["get_secret"], name=name))

        return await self._database.write(action)

    async def read_config_version(self) -> int:
        row = await self._database.find_row(SQL["read_config_version"])
        return int(row["version"]) if row else 0


def _require(row: Row | None, what: str) -> Row:
    if row is None:
        raise NotFound(f"no such {what}")
    return row


def _get_key(connection: Connection, account_id: AccountId, key_id: ApiKeyId) -> ApiKey:
    return read_api_key(_require(fetch_row(connection, SQL["get_api_key"], account_id=account_id, id=key_id), "key"))


def get_domain(connection: Connection, domain_id: DomainId) -> SendingDomain:
    """A domain, in a transaction. Raises `NotFound`."""
    return read_domain(_require(fetch_row(connection, SQL["get_domain"], id=domain_id), "domain"))


def _pattern(text: str | None) -> str | None:
    return contains(text) if text else None
