"""Accounts, keys and sending domains, in dictionaries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sendryd.model.account import Account, AccountSettings
from sendryd.model.apikey import ApiKey, KeyMode, KeyUse
from sendryd.model.domain import Bimi, DnsRecord, DomainSettings, DomainStatus, PastCheck, SendingDomain
from sendryd.model.ids import AccountId, ApiKeyId, DomainId
from sendryd.store.base import MAX_CHECKS, DomainCheck, NewApiKey, NewDomain, Notice, Page, check_state
from sendryd.store.errors import Conflict, NotFound
from sendryd.store.rules import check_limit, check_rotation, check_unchanged


class MemoryAccounts:
    """`AccountStore`. It ignores notices: there are no webhooks here."""

    def __init__(self) -> None:
        super().__init__()
        self._accounts: dict[AccountId, Account] = {}
        self._secrets: dict[str, bytes] = {}
        self._bimi: dict[DomainId, Bimi] = {}
        self._keys: dict[ApiKeyId, NewApiKey] = {}
        self._domains: dict[DomainId, NewDomain] = {}
        self._smarthost_passwords: dict[DomainId, str] = {}
        self._domain_checks: dict[DomainId, list[PastCheck]] = {}
        self._removed_domains: dict[DomainId, tuple[tuple[AccountId, str], datetime]] = {}
        self._version = 1

    async def ensure_account(self, account_id: AccountId, name: str, now: datetime) -> bool:
        is_new = account_id not in self._accounts
        self._accounts.setdefault(account_id, Account(id=account_id, name=name, created_at=now, settings=AccountSettings()))
        return is_new

    async def get_account(self, account_id: AccountId) -> Account | None:
        return self._accounts.get(account_id)

    async def list_accounts(self) -> list[Account]:
        return [each for _, each in sorted(self._accounts.items())]

    async def set_account(self, before: Account, *, name: str, settings: AccountSettings) -> Account:
        found = self._accounts.get(before.id)
        if found is None:
            raise NotFound("no such account")
        check_unchanged((found.name, found.settings), (before.name, before.settings), "the account")
        account = replace(found, name=name, settings=settings)
        self._version += settings != found.settings
        self._accounts[before.id] = account
        return account

    async def ensure_secret(self, name: str, value: bytes) -> bytes:
        return self._secrets.setdefault(name, value)

    async def page_api_keys(self, account_id: AccountId, *, limit: int, before: ApiKeyId | None = None) -> Page[ApiKey]:
        keys = [key for key in await self.list_api_keys(account_id) if key.revoked_at is None and (before is None or key.id < before)]
        return Page(items=tuple(keys[:limit]), has_more=len(keys) > limit)

    async def add_api_key(self, new: NewApiKey, *, limit: int | None = None) -> None:
        if new.key.id in self._keys or any(each.secret_hash == new.secret_hash for each in self._keys.values()):
            raise Conflict("the key exists")
        counted = [
            key for key in await self.list_api_keys(new.key.account_id) if key.revoked_at is None and key.is_active(new.key.created_at)
        ]
        if new.key.mode is KeyMode.LIVE:
            counted = [key for key in counted if key.mode is KeyMode.LIVE]
        check_limit(len(counted) + 1, limit, "API key", "revoke one first")
        self._keys[new.key.id] = new
        self._version += 1

    async def rotate_api_key(self, account_id: AccountId, key_id: ApiKeyId, new: NewApiKey, revoke_at: datetime) -> None:
        old = self._keys.get(key_id)
        if old is None or old.key.account_id != account_id:
            raise NotFound("no such key")
        check_rotation(old.key, new.key)
        await self.add_api_key(new)
        await self.revoke_api_key(account_id, key_id, revoke_at)

    async def find_api_key(self, secret_hash: bytes) -> ApiKey | None:
        return next((each.key for each in self._keys.values() if each.secret_hash == secret_hash), None)

    async def list_api_keys(self, account_id: AccountId) -> list[ApiKey]:
        keys = [each.key for each in self._keys.values() if each.key.account_id == account_id]
        return sorted(keys, key=lambda key: key.id, reverse=True)

    async def revoke_api_key(self, account_id: AccountId, key_id: ApiKeyId, at: datetime) -> ApiKey:
        new = self._keys.get(key_id)
        if new is None or new.key.account_id != account_id:
            raise NotFound("no such key")
        earlier = new.key.revoked_at
        key = replace(new.key, revoked_at=at if earlier is None else min(at, earlier))
        self._keys[key_id] = replace(new, key=key)
        self._version += 1
        return key

    async def touch_api_keys(self, used: Mapping[ApiKeyId, KeyUse]) -> None:
        for key_id, use in used.items():
            if key_id in self._keys:
                new = self._keys[key_id]
                self._keys[key_id] = replace(new, key=replace(new.key, last_used_at=use.at, last_used_from=use.address))

    async def add_domain(self, new: NewDomain, notice: Notice | None = None, *, limit: int | None = None) -> None:  # noqa: ARG002  no webhooks here
        if await self.find_domain(new.domain.account_id, new.domain.name) is not None:
            raise Conflict("the domain exists")
        check_limit(1 + len(await self.list_domains(new.domain.account_id)), limit, "domain", "remove one first")
        self._domains[new.domain.id] = new
        self._version += 1

    async def find_domain(self, account_id: AccountId, name: str) -> SendingDomain | None:
        domains = (each.domain for each in self._domains.values())
        return next((domain for domain in domains if (domain.account_id, domain.name) == (account_id, name)), None)

    async def get_domain(self, domain_id: DomainId) -> SendingDomain | None:
        new = self._domains.get(domain_id)
        return new.domain if new else None

    async def list_domains(self, account_id: AccountId | None = None) -> list[SendingDomain]:
        domains = [each.domain for each in self._domains.values() if account_id in {None, each.domain.account_id}]
        return sorted(domains, key=lambda domain: domain.id, reverse=True)

    async def read_smarthost_password(self, domain_id: DomainId) -> str:
        return self._smarthost_passwords.get(domain_id, "") if domain_id in self._domains else ""

    async def read_private_key(self, domain_id: DomainId) -> bytes | None:
        new = self._domains.get(domain_id)
        return new.private_key if new else None

    async def record_domain_check(self, before: SendingDomain, check: DomainCheck, notice: Notice | None = None) -> SendingDomain:  # noqa: ARG002
        changes = {name: getattr(check, name) for name in DomainCheck.__slots__ if name != "past"}
        changed = self._change_domain(before, check_state, **changes)
        if check.past is not None:
            self._domain_checks[before.id] = [check.past, *self._domain_checks.get(before.id, [])][:MAX_CHECKS]
        return changed

    async def list_domain_checks(self, domain_id: DomainId, *, limit: int = MAX_CHECKS) -> list[PastCheck]:
        return self._domain_checks.get(domain_id, [])[:limit]

    async def set_domain_settings(
        self,
        before: SendingDomain,
        settings: DomainSettings,
        notice: Notice | None = None,  # noqa: ARG002
        *,
        records: Sequence[DnsRecord] | None = None,
        smarthost_password: str | None = None,
    ) -> SendingDomain:
        also = {} if records is None else {"records": tuple(records)}
        changed = self._change_domain(before, lambda domain: domain.settings, settings=settings, **also)
        if smarthost_password is not None:
            self._version += 1
            self._smarthost_passwords[before.id] = smarthost_password
        return changed

    def _change_domain(self, before: SendingDomain, compared: Callable[[SendingDomain], object], **changes: object) -> SendingDomain:
        new = self._domains.get(before.id)
        if new is None:
            raise NotFound("no such domain")
        check_unchanged(compared(new.domain), compared(before), "the domain")
        domain: SendingDomain = replace(new.domain, **changes)  # type: ignore[arg-type]  # the callers name fields
        self._domains[before.id] = replace(new, domain=domain)
        self._version += 1
        return domain

    async def remove_domain(self, domain_id: DomainId, now: datetime, notice: Notice | None = None) -> None:  # noqa: ARG002
        removed = self._domains.pop(domain_id, None)
        if removed is None:
            raise NotFound("no such domain")
        self._removed_domains[domain_id] = (removed.domain.account_id, removed.domain.name), now
        self._bimi.pop(domain_id, None)
        self._domain_checks.pop(domain_id, None)
        self._version += 1

    async def find_successor(self, domain_id: DomainId) -> DomainId | None:
        if domain_id not in self._removed_domains:
            return None
        domain = await self.find_domain(*self._removed_domains[domain_id][0])
        return domain.id if domain is not None and domain.status is DomainStatus.VERIFIED else None

    async def page_domains(
        self, account_id: AccountId, *, text: str | None = None, limit: int, before: DomainId | None = None
    ) -> Page[SendingDomain]:
        domains = [each for each in await self.list_domains(account_id) if before is None or each.id < before]
        domains = [each for each in domains if text is None or text.lower() in each.name]
        return Page(items=tuple(domains[:limit]), has_more=len(domains) > limit)

    async def count_domains(self, account_id: AccountId, *, text: str | None = None) -> int:
        return len([each for each in await self.list_domains(account_id) if text is None or text.lower() in each.name])

    async def get_bimi(self, domain_id: DomainId) -> Bimi | None:
        return self._bimi.get(domain_id)

    async def set_bimi(self, domain_id: DomainId, before: Bimi | None, bimi: Bimi | None) -> None:
        if domain_id not in self._domains:
            raise NotFound("no such domain")
        check_unchanged(self._bimi.get(domain_id), before, "the logo")
        if bimi is None:
            self._bimi.pop(domain_id, None)
        else:
            self._bimi[domain_id] = bimi

    async def read_config_version(self) -> int:
        return self._version
