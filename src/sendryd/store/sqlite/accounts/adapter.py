"""Accounts, keys and sending domains in SQLite."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

import apsw

from sendryd.model.account import Account, AccountSettings
from sendryd.model.apikey import ApiKey
from sendryd.model.domain import Bimi, DomainSettings, SendingDomain
from sendryd.model.ids import API_KEY_PREFIX, DOMAIN_PREFIX, AccountId, ApiKeyId, DomainId
from sendryd.store.base import DomainCheck, NewApiKey, NewDomain, Notice, Page, check_state
from sendryd.store.codec.accounts import bimi_row, read_account, read_api_key, read_bimi, read_domain, records_json, settings_json
from sendryd.store.codec.values import contains, to_json, to_ms, to_ms_or_none
from sendryd.store.errors import Changed, NotAllowed, NotFound
from sendryd.store.sqlite.accounts.queries import SQL
from sendryd.store.sqlite.engine.database import Database
from sendryd.store.sqlite.engine.limits import check_limit
from sendryd.store.sqlite.webhooks.outbox import owe

_LAST: Final = 1 << 62


class Accounts:
    """`AccountStore`."""

    _database: Database

    async def ensure_account(self, account_id: AccountId, name: str, now: datetime) -> bool:
        def action(connection: apsw.Connection, _batch: object) -> bool:
            connection.execute(SQL["insert_account"], (account_id, name, to_ms(now)))
            return bool(connection.changes())

        return bool(await self._database.write(action))

    async def add_api_key(self, new: NewApiKey, *, limit: int | None = None) -> None:
        key = new.key

        def action(connection: apsw.Connection, _batch: object) -> None:
            connection.execute(SQL["insert_api_key"], _key_values(new))
            count = connection.execute(SQL["count_active_keys"], (key.account_id, key.mode.value, to_ms(key.created_at))).get
            check_limit(count, limit, "API key", "revoke one first")

        await self._database.write(action)

    async def rotate_api_key(self, account_id: AccountId, key_id: ApiKeyId, new: NewApiKey, revoke_at: datetime) -> None:
        def action(connection: apsw.Connection, _batch: object) -> None:
            row = connection.execute(SQL["get_api_key"], (account_id, key_id)).fetchone()
            if row is None:
                raise NotFound("no such key")
            revoked_at = read_api_key(row).revoked_at
            if revoked_at is not None and revoked_at <= new.key.created_at:
                raise NotAllowed("the key is revoked; create a new one instead")
            connection.execute(SQL["insert_api_key"], _key_values(new))
            connection.execute(SQL["revoke_api_key"], (account_id, key_id, to_ms(revoke_at)))

        await self._database.write(action)

    async def find_api_key(self, secret_hash: bytes) -> ApiKey | None:
        row = self._database.fetch_one(SQL["find_api_key"], secret_hash)
        return read_api_key(row) if row else None

    async def list_api_keys(self, account_id: AccountId) -> list[ApiKey]:
        return list(
            self._database.unreadable.keep(await self._database.read_rows(SQL["list_api_keys"], API_KEY_PREFIX, account_id), read_api_key)
        )

    async def revoke_api_key(self, account_id: AccountId, key_id: ApiKeyId, at: datetime) -> ApiKey:
        def action(connection: apsw.Connection, _batch: object) -> ApiKey:
            connection.execute(SQL["revoke_api_key"], (account_id, key_id, to_ms(at)))
            row = connection.execute(SQL["get_api_key"], (account_id, key_id)).fetchone()
            if row is None:
                raise NotFound("no such key")
            return read_api_key(row)

        key: ApiKey = await self._database.write(action)
        return key

    async def touch_api_keys(self, used: Mapping[ApiKeyId, datetime]) -> None:
        values = [(to_ms(moment), key_id) for key_id, moment in used.items()]
        await self._database.write(lambda connection, _: connection.executemany(SQL["touch_api_key"], values).fetchall())

    async def add_domain(self, new: NewDomain, notice: Notice | None = None, *, limit: int | None = None) -> None:
        domain = new.domain
        values = (
            domain.id,
            domain.account_id,
            domain.name,
            domain.status.value,
            domain.selector,
            domain.public_key,
            new.private_key,
            settings_json(domain.settings),
            records_json(domain.records),
            to_ms(domain.created_at),
            to_ms_or_none(domain.verified_at),
            to_ms_or_none(domain.checked_at),
            to_ms_or_none(domain.failing_since),
            domain.failures,
        )

        def action(connection: apsw.Connection, _batch: object) -> None:
            connection.execute(SQL["insert_domain"], values)
            check_limit(connection.execute(SQL["count_domains"], (domain.account_id, None)).get, limit, "domain", "remove one first")
            owe(connection, domain.account_id, notice)

        await self._database.write(action)

    async def find_domain(self, account_id: AccountId, name: str) -> SendingDomain | None:
        row = self._database.fetch_one(SQL["find_domain"], account_id, name)
        return read_domain(row) if row else None

    async def get_domain(self, domain_id: DomainId) -> SendingDomain | None:
        row = self._database.fetch_one(SQL["get_domain"], domain_id)
        return read_domain(row) if row else None

    async def list_domains(self, account_id: AccountId | None = None) -> list[SendingDomain]:
        return list(
            self._database.unreadable.keep(await self._database.read_rows(SQL["list_domains"], DOMAIN_PREFIX, account_id), read_domain)
        )

    async def read_private_key(self, domain_id: DomainId) -> bytes | None:
        row = self._database.fetch_one(SQL["read_private_key"], domain_id)
        return bytes(row[0]) if row else None

    async def record_domain_check(self, before: SendingDomain, check: DomainCheck, notice: Notice | None = None) -> SendingDomain:
        values = (
            check.status.value,
            records_json(check.records),
            to_ms(check.checked_at),
            to_ms_or_none(check.verified_at),
            to_ms_or_none(check.failing_since),
            check.failures,
            before.id,
        )
        return await self._change_domain(before, check_state, "record_domain_check", values, notice)

    async def set_domain_settings(self, before: SendingDomain, settings: DomainSettings, notice: Notice | None = None) -> SendingDomain:
        values = (settings_json(settings), before.id)
        return await self._change_domain(before, lambda domain: domain.settings, "set_domain_settings", values, notice)

    async def _change_domain(
        self,
        before: SendingDomain,
        compared: Callable[[SendingDomain], object],
        name: str,
        values: tuple[object, ...],
        notice: Notice | None,
    ) -> SendingDomain:
        def action(connection: apsw.Connection, _batch: object) -> SendingDomain:
            if compared(_get_domain(connection, before.id)) != compared(before):
                raise Changed("the domain has been changed by somebody else at the same time: try again")
            connection.execute(SQL[name], values)
            owe(connection, before.account_id, notice)
            return _get_domain(connection, before.id)

        domain: SendingDomain = await self._database.write(action)
        return domain

    async def remove_domain(self, domain_id: DomainId, now: datetime, notice: Notice | None = None) -> None:
        def action(connection: apsw.Connection, _batch: object) -> None:
            row = connection.execute(SQL["get_domain"], (domain_id,)).fetchone()
            if row is None:
                raise NotFound("no such domain")
            connection.execute(SQL["insert_removed_domain"], (domain_id, to_ms(now)))
            connection.execute(SQL["remove_domain"], (domain_id,))
            owe(connection, row[1], notice)

        await self._database.write(action)

    async def delete_removed_domains(self, *, created_before: datetime, limit: int) -> int:
        values = (to_ms(created_before), limit)
        old: list[tuple[Any, ...]] = await self._database.read(
            lambda connection: connection.execute(SQL["list_old_removed_domains"], values).fetchall()
        )
        if old:
            numbers = to_json([number for (number,) in old])
            await self._database.write(lambda connection, _: connection.execute(SQL["delete_removed_domains"], (numbers,)).fetchall())
        return len(old)

    async def find_successor(self, domain_id: DomainId) -> DomainId | None:
        row = self._database.fetch_one(SQL["find_successor"], domain_id)
        return DomainId(row[0]) if row else None

    async def page_api_keys(self, account_id: AccountId, *, limit: int, before: ApiKeyId | None = None) -> Page[ApiKey]:
        rows = await self._database.read_rows(
            SQL["page_api_keys"], API_KEY_PREFIX, account_id, _LAST if before is None else before, limit + 1
        )
        return Page(items=self._database.unreadable.keep(rows[:limit], read_api_key), has_more=len(rows) > limit)

    async def page_domains(
        self, account_id: AccountId, *, text: str | None = None, limit: int, before: DomainId | None = None
    ) -> Page[SendingDomain]:
        pattern = contains(text) if text else None
        values = (account_id, _LAST if before is None else before, pattern, limit + 1)
        rows = await self._database.read_rows(SQL["page_domains"], DOMAIN_PREFIX, *values)
        return Page(items=self._database.unreadable.keep(rows[:limit], read_domain), has_more=len(rows) > limit)

    async def count_domains(self, account_id: AccountId, *, text: str | None = None) -> int:
        values = (account_id, contains(text) if text else None)
        row = await self._database.read(lambda connection: connection.execute(SQL["count_domains"], values).fetchone())
        return int(row[0]) if row else 0

    async def get_bimi(self, domain_id: DomainId) -> Bimi | None:
        row = self._database.fetch_one(SQL["get_bimi"], domain_id)
        return read_bimi(row) if row else None

    async def set_bimi(self, domain_id: DomainId, before: Bimi | None, bimi: Bimi | None) -> None:
        def action(connection: apsw.Connection, _batch: object) -> None:
            _get_domain(connection, domain_id)
            row = connection.execute(SQL["get_bimi"], (domain_id,)).fetchone()
            if (read_bimi(row) if row else None) != before:
                raise Changed("the logo has been changed by somebody else at the same time: try again")
            if bimi is None:
                connection.execute(SQL["remove_bimi"], (domain_id,))
            else:
                connection.execute(SQL["set_bimi"], (domain_id, *bimi_row(bimi)))

        await self._database.write(action)

    async def get_account(self, account_id: AccountId) -> Account | None:
        row = self._database.fetch_one(SQL["get_account"], account_id)
        return read_account(row) if row else None

    async def set_account(self, before: Account, *, name: str, settings: AccountSettings) -> Account:
        def action(connection: apsw.Connection, _batch: object) -> Account:
            row = connection.execute(SQL["get_account"], (before.id,)).fetchone()
            if row is None:
                raise NotFound("no such account")
            found = read_account(row)
            if (found.name, found.settings) != (before.name, before.settings):
                raise Changed("the account has been changed by somebody else at the same time: try again")
            connection.execute(SQL["set_account"], (before.id, name, to_json(asdict(settings))))
            return replace(found, name=name, settings=settings)

        account: Account = await self._database.write(action)
        return account

    async def ensure_secret(self, name: str, value: bytes) -> bytes:
        def action(connection: apsw.Connection, _batch: object) -> bytes:
            connection.execute(SQL["insert_secret"], (name, value))
            row = connection.execute(SQL["get_secret"], (name,)).fetchone()
            return bytes(row[0]) if row else value

        secret: bytes = await self._database.write(action)
        return secret

    async def read_config_version(self) -> int:
        row = self._database.fetch_one(SQL["read_config_version"])
        return int(row[0]) if row else 0


def _key_values(new: NewApiKey) -> tuple[object, ...]:
    key = new.key
    return (
        key.id,
        key.account_id,
        key.name,
        key.scope.value,
        key.mode.value,
        key.prefix,
        new.secret_hash,
        to_ms(key.created_at),
        to_ms_or_none(key.expires_at),
        to_ms_or_none(key.revoked_at),
        to_ms_or_none(key.last_used_at),
    )


def _get_domain(connection: apsw.Connection, domain_id: DomainId) -> SendingDomain:
    row = connection.execute(SQL["get_domain"], (domain_id,)).fetchone()
    if row is None:
        raise NotFound("no such domain")
    return read_domain(row)
