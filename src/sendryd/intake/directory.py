"""A cache of API keys and sending domains, valid until one of them or the settings of an account change.

The store has a version number that grows with every change of a key, a domain or an account's settings, by any process. The directory reads it at
most every quarter of a second, so that a change by the command line holds well within the promised second.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.apikey import ApiKey, KeyUse
from sendryd.model.domain import SendingDomain
from sendryd.model.ids import AccountId, ApiKeyId
from sendryd.policy.admission import covering_names
from sendryd.runtime.clock import Clock
from sendryd.store.base import AccountStore

CHECK_INTERVAL: Final = 0.25  # seconds between reads of the version
MAX_ENTRIES: Final = 10_000  # of each kind; a full cache is cleared, which costs one look-up for each entry
TOUCH_RESOLUTION: Final = timedelta(minutes=1)  # `last_used_at` is exact to this


class Directory:
    """Cached look-ups. Methods raise `StoreUnavailable` when the store must be read and cannot be."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._version = -1
        self._checked = float("-inf")
        self._keys: dict[bytes, ApiKey | None] = {}
        self._covering: dict[tuple[AccountId, str], tuple[SendingDomain, ...]] = {}
        self._used: dict[ApiKeyId, KeyUse] = {}
        self._touched: dict[ApiKeyId, datetime] = {}
        self._touch_due: dict[ApiKeyId, float] = {}  # by monotonic time: not looked at before that

    def __repr__(self) -> str:
        return f"<Directory version {self._version}, {len(self._keys)} keys, {len(self._covering)} domains>"

    def invalidate(self) -> None:
        """Clears the cache."""
        self._checked = float("-inf")
        self._version = -1

    def _is_fresh(self) -> bool:
        return self._clock.monotonic() - self._checked < CHECK_INTERVAL

    async def _refresh(self) -> None:
        now = self._clock.monotonic()
        if now - self._checked < CHECK_INTERVAL:
            return
        version = await self._store.read_config_version()
        if version != self._version or len(self._keys) > MAX_ENTRIES or len(self._covering) > MAX_ENTRIES:
            self._keys.clear()
            self._covering.clear()
            self._version = version
        self._checked = now

    async def find_key(self, secret_hash: bytes) -> ApiKey | None:
        """The active key with this hash, or None."""
        await self._refresh()
        if secret_hash in self._keys:
            key = self._keys[secret_hash]
        else:
            version_before = self._version
            key = await self._store.find_api_key(secret_hash)
            # Unknown hashes are not cached: strangers could fill the memory with them. A row read before the last change is not cached either.
            if key is not None and self._version == version_before:
                self._keys[secret_hash] = key
        if key is None or not key.is_active(self._clock.now()):
            return None
        return key

    def known_key(self, secret_hash: bytes) -> ApiKey | None:
        """What `find_key` would give, if that is known without waiting; None says nothing."""
        key = self._keys.get(secret_hash) if self._is_fresh() else None
        if key is None or (key.has_end and not key.is_active(self._clock.now())):
            return None
        return key

    def known_domains(self, account_id: AccountId, name: str) -> tuple[SendingDomain, ...] | None:
        """What `covering_domains` would give, if that is known without waiting; None says nothing."""
        return self._covering.get((account_id, name)) if self._is_fresh() else None

    async def covering_domains(self, account_id: AccountId, name: str) -> tuple[SendingDomain, ...]:
        """The account's sending domains that equal a domain or are above it, nearest first."""
        await self._refresh()
        found = self._covering.get((account_id, name))
        if found is None:
            version_before = self._version
            domains = [await self._store.find_domain(account_id, each) for each in covering_names(name)]
            found = await self._with_smart_host(account_id, tuple(domain for domain in domains if domain is not None))
            if self._version == version_before:
                self._covering[account_id, name] = found
        return found

    async def _with_smart_host(self, account_id: AccountId, domains: tuple[SendingDomain, ...]) -> tuple[SendingDomain, ...]:
        """The domains with the smart host of their account, which takes the mail of those that name none."""
        if all(domain.settings.smarthost for domain in domains):  # as there are none for an unknown name
            return domains
        account = await self._store.get_account(account_id)
        url = account.settings.smarthost.url if account is not None else ""
        return tuple(replace(domain, account_smarthost=url) for domain in domains) if url else domains

    def touch(self, key: ApiKey, address: str) -> None:
        """Notes the use of a key by a client of this address; `flush` stores it."""
        monotonic = self._clock.monotonic()
        if monotonic < self._touch_due.get(key.id, 0.0):  # as nearly always
            return
        now, last = self._clock.now(), self._touched.get(key.id) or key.last_used_at
        if last is None or now - last >= TOUCH_RESOLUTION:
            self._used[key.id] = KeyUse(now, address)
            self._touched[key.id] = now
        self._touch_due[key.id] = monotonic + CHECK_INTERVAL

    async def flush(self) -> None:
        """Stores the noted times of last use."""
        if self._used:
            used, self._used = self._used, {}
            await self._store.touch_api_keys(used)
