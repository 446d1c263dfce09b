"""Operations on API keys, shared by the REST API and the command line."""

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from sendryd.accounts.audit import AuditedChanges
from sendryd.accounts.errors import BadField
from sendryd.model.actor import Actor
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import API_KEY_PREFIX, AccountId, ApiKeyId, format_id
from sendryd.policy.credentials import RANDOM_LENGTH, display_prefix, hash_key, new_secret
from sendryd.policy.permissions import check_change
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.runtime.rand import Rand
from sendryd.store.base import AccountStore, AuditStore, NewApiKey
from sendryd.store.errors import NotFound

_END_OF_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)  # later moments cannot be expressed


class BadExpiry(BadField):
    """A key cannot expire as asked; the message says what to change."""


class KeyStore(AccountStore, AuditStore, Protocol):
    """Keys, and the audit of their changes."""


class ApiKeys(AuditedChanges[KeyStore]):
    """Creates, rotates and revokes API keys."""

    def __init__(self, store: KeyStore, *, clock: Clock, rand: Rand, ids: IdSource, max_keys: int | None = None) -> None:
        super().__init__(store, clock, ids)
        self._rand = rand
        self._max_keys = max_keys

    async def create(
        self,
        actor: Actor,
        name: str,
        *,
        scope: Scope = Scope.FULL_ACCESS,
        mode: KeyMode = KeyMode.LIVE,
        expires_in: timedelta | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key. Returns it with its secret, which is stored nowhere. It expires after `expires_in` or at `expires_at`; without
        either, never. Raises `BadExpiry`, `LimitReached`, and `LiveKeyNeeded` if a test key would create a live key: test keys leak
        easily.
        """
        check_change(actor, mode)
        now = self._clock.now()
        ends = _ends_at(now, expires_in, expires_at)
        new, secret = self._make(actor.account_id, name, scope=scope, mode=mode, now=now, expires_at=ends)
        await self._audited("key.created", _target(new.key), after=_shown(new.key)).add_api_key(new, limit=self._max_keys)
        return new.key, secret

    def _make(
        self, account_id: AccountId, name: str, *, scope: Scope, mode: KeyMode, now: datetime, expires_at: datetime | None
    ) -> tuple[NewApiKey, str]:
        secret = new_secret(mode, self._rand.secret(RANDOM_LENGTH))
        secret_hash = hash_key(secret)
        if secret_hash is None:
            raise AssertionError("a secret of our own making has not the form of one")
        key = ApiKey(
            id=ApiKeyId(self._ids.next()),
            account_id=account_id,
            name=name,
            scope=scope,
            mode=mode,
            prefix=display_prefix(secret),
            created_at=now,
            expires_at=expires_at,
        )
        return NewApiKey(key=key, secret_hash=secret_hash), secret

    async def get(self, account_id: AccountId, key_id: ApiKeyId) -> ApiKey:
        """Get one key. Raises `NotFound`."""
        keys = await self._store.list_api_keys(account_id)
        found = next((key for key in keys if key.id == key_id), None)
        if found is None:
            raise NotFound("no such key")
        return found

    async def revoke(self, actor: Actor, key_id: ApiKeyId, *, grace: timedelta = timedelta(0), is_repeatable: bool = True) -> ApiKey:
        """Revoke a key, now or after `grace`. Raises `LiveKeyNeeded` if a test key would revoke a live key, and `NotFound`, also for a key
        that is revoked already unless `is_repeatable`.
        """
        if actor.mode is KeyMode.TEST:
            check_change(actor, (await self.get(actor.account_id, key_id)).mode)
        now = self._clock.now()
        key = await self._audited("key.revoked", format_id(API_KEY_PREFIX, key_id)).revoke_api_key(
            actor.account_id, key_id, _after(now, grace)
        )
        if not is_repeatable and key.revoked_at is not None and key.revoked_at < now:
            raise NotFound("the key is revoked")
        return key

    async def rotate(self, actor: Actor, key_id: ApiKeyId, *, grace: timedelta = timedelta(0)) -> tuple[ApiKey, str]:
        """Create a key with the name, scope and mode of an old one, and revoke the old one after `grace`. The new key gets the old one's
        lifetime again. Raises `NotFound`, and `NotAllowed` for a revoked key, which rotation must not bring back.
        """
        old, now = await self.get(actor.account_id, key_id), self._clock.now()
        expires_at = _after(now, old.expires_at - old.created_at) if old.expires_at is not None else None
        new, secret = self._make(actor.account_id, old.name, scope=old.scope, mode=old.mode, now=now, expires_at=expires_at)
        await self._audited("key.rotated", _target(old), after={"by": _target(new.key)}).rotate_api_key(
            actor.account_id, key_id, new, _after(now, grace)
        )
        return new.key, secret


def _target(key: ApiKey) -> str:
    return format_id(API_KEY_PREFIX, key.id)


def _shown(key: ApiKey) -> dict[str, object]:
    """What the audit says of a key."""
    return {"name": key.name, "mode": key.mode.value, "scope": key.scope.value}


def _ends_at(now: datetime, expires_in: timedelta | None, expires_at: datetime | None) -> datetime | None:
    if expires_at is None:
        return None if expires_in is None else _after(now, expires_in)
    if expires_in is not None:
        raise BadExpiry("expires_at", "give this or expires_in, not both")
    if expires_at <= now:
        raise BadExpiry("expires_at", "that time has passed")
    try:
        return expires_at.astimezone(UTC)
    except OverflowError:
        raise BadExpiry("expires_at", "leave it out for a key that does not expire") from None


def _after(now: datetime, delay: timedelta) -> datetime:
    return now + min(delay, _END_OF_TIME - now)
