"""Accounts, keys and sending domains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sendryd.model.account import Account, AccountSettings
from sendryd.model.apikey import ApiKey, KeyUse
from sendryd.model.domain import Bimi, DnsRecord, DomainSettings, DomainStatus, PastCheck, SendingDomain
from sendryd.model.ids import AccountId, ApiKeyId, DomainId
from sendryd.store.base.notify import Notice
from sendryd.store.base.paging import Page

MAX_CHECKS: Final = 50  # of each domain that are kept: 12 minutes of a page that is open, or weeks of a verified domain


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """An API key to store: the SHA-256 of its secret, never the secret."""

    key: ApiKey
    secret_hash: bytes  # 32 octets


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDomain:
    """A sending domain to store, with the private half of its DKIM key."""

    domain: SendingDomain
    private_key: bytes  # PEM, PKCS #8


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCheck:
    """The result of a check of a domain's DNS records."""

    status: DomainStatus
    records: tuple[DnsRecord, ...]
    checked_at: datetime
    verified_at: datetime | None
    failing_since: datetime | None
    failures: int
    past: PastCheck | None = None  # to be kept among the last `MAX_CHECKS`


def check_state(domain: SendingDomain) -> tuple[object, ...]:
    """The state that a domain check starts from. A check replaces the whole state, and only if it is unchanged."""
    return domain.status, domain.verified_at, domain.checked_at, domain.failing_since, domain.failures, domain.records


class AccountStore(Protocol):
    """Accounts, keys and sending domains."""

    async def ensure_account(self, account_id: AccountId, name: str, now: datetime) -> bool:
        """Creates the account unless it exists. True if this call created it. Durable."""
        ...

    async def add_api_key(self, new: NewApiKey, *, limit: int | None = None) -> None:
        """Stores a key. Durable. Raises `LimitReached` if the account would have more than `limit` keys that are neither revoked nor expired; test
        keys do not count towards the limit of live keys.
        """
        ...

    async def rotate_api_key(self, account_id: AccountId, key_id: ApiKeyId, new: NewApiKey, revoke_at: datetime) -> None:
        """Stores a key that replaces an old one, and revokes the old one from `revoke_at` on. Durable. Raises `NotFound`, and `NotAllowed` if the
        old key was revoked before the new one was created.
        """
        ...

    async def find_api_key(self, secret_hash: bytes) -> ApiKey | None:
        """The key with this SHA-256, in any state."""
        ...

    async def list_api_keys(self, account_id: AccountId) -> list[ApiKey]:
        """All keys, including revoked ones, newest first."""
        ...

    async def revoke_api_key(self, account_id: AccountId, key_id: ApiKeyId, at: datetime) -> ApiKey:
        """Revokes a key from this time on; an earlier revocation stays. Durable. Raises `NotFound`."""
        ...

    async def touch_api_keys(self, used: Mapping[ApiKeyId, KeyUse]) -> None:
        """Stores when and from where keys were last used."""
        ...

    async def add_domain(self, new: NewDomain, notice: Notice | None = None, *, limit: int | None = None) -> None:
        """Stores a sending domain. Durable. Raises `Conflict` if the account has it already, and `LimitReached` if it would have more than
        `limit`.
        """
        ...

    async def find_domain(self, account_id: AccountId, name: str) -> SendingDomain | None:
        """An account's sending domain by its A-label name."""
        ...

    async def get_domain(self, domain_id: DomainId) -> SendingDomain | None:
        """A sending domain by its id."""
        ...

    async def list_domains(self, account_id: AccountId | None = None) -> list[SendingDomain]:
        """All sending domains, of one account or of all."""
        ...

    async def read_smarthost_password(self, domain_id: DomainId) -> str:
        """The password of a domain's smart host; empty if there is none, or no such domain."""
        ...

    async def read_private_key(self, domain_id: DomainId) -> bytes | None:
        """The PEM of a domain's DKIM key, for the signer alone."""
        ...

    async def record_domain_check(self, before: SendingDomain, check: DomainCheck, notice: Notice | None = None) -> SendingDomain:
        """Stores the result of a check. Durable. Raises `NotFound`, and `Changed` if another check was stored since `before` was read."""
        ...

    async def list_domain_checks(self, domain_id: DomainId, *, limit: int = MAX_CHECKS) -> list[PastCheck]:
        """The last checks of a domain, newest first."""
        ...

    async def set_domain_settings(
        self,
        before: SendingDomain,
        settings: DomainSettings,
        notice: Notice | None = None,
        *,
        records: Sequence[DnsRecord] | None = None,
        smarthost_password: str | None = None,
    ) -> SendingDomain:
        """Replaces a domain's settings, its records if they follow from them, and the password of its smart host if there is a new one. Durable.
        Raises `NotFound`, and `Changed` if the stored settings differ from those of `before`.
        """
        ...

    async def remove_domain(self, domain_id: DomainId, now: datetime, notice: Notice | None = None) -> None:
        """Removes a domain, its DKIM key and its BIMI logo; keeps its name for `find_successor`. Raises `NotFound`."""
        ...

    async def delete_removed_domains(self, *, created_before: datetime, limit: int) -> int:
        """Deletes the names of domains that were removed before then, unless waiting mail needs their signature. Returns how many."""
        ...

    async def find_successor(self, domain_id: DomainId) -> DomainId | None:
        """The verified domain of the same account with the name of a removed one."""
        ...

    async def read_config_version(self) -> int:
        """A number that grows with every change of a key, a domain or an account's settings, by any process."""
        ...

    async def page_api_keys(self, account_id: AccountId, *, limit: int, before: ApiKeyId | None = None) -> Page[ApiKey]:
        """Keys that are not revoked, and will not be, newest first."""
        ...

    async def page_domains(
        self, account_id: AccountId, *, text: str | None = None, limit: int, before: DomainId | None = None
    ) -> Page[SendingDomain]:
        """Sending domains with this text in their name (case-insensitive), newest first."""
        ...

    async def count_domains(self, account_id: AccountId, *, text: str | None = None) -> int:
        """Number of domains that match the filter."""
        ...

    async def get_bimi(self, domain_id: DomainId) -> Bimi | None:
        """A domain's BIMI logo."""
        ...

    async def set_bimi(self, domain_id: DomainId, before: Bimi | None, bimi: Bimi | None) -> None:
        """Stores a domain's logo; None removes it. Durable. Raises `NotFound` for an unknown domain, and `Changed` if the stored logo is not
        `before`.
        """
        ...

    async def get_account(self, account_id: AccountId) -> Account | None:
        """An account."""
        ...

    async def list_accounts(self) -> list[Account]:
        """All accounts, the oldest first."""
        ...

    async def set_account(self, before: Account, *, name: str, settings: AccountSettings) -> Account:
        """Replaces an account's name and settings. Durable. Raises `NotFound`, and `Changed` if the stored ones differ from those of `before`."""
        ...

    async def ensure_secret(self, name: str, value: bytes) -> bytes:
        """The installation's secret of this name; stores the given value if there is none. Durable."""
        ...
