"""API keys and rows of `api_key`."""

from typing import Any

from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import API_KEY_PREFIX, AccountId, ApiKeyId
from sendryd.store.base import NewApiKey
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, from_ms_or_none, to_ms, to_ms_or_none


def api_key_row(new: NewApiKey) -> dict[str, Any]:
    """The columns of a new key."""
    key = new.key
    return {
        "id": key.id,
        "account_id": key.account_id,
        "name": key.name,
        "scope": key.scope.value,
        "mode": key.mode.value,
        "prefix": key.prefix,
        "secret_hash": new.secret_hash,
        "created_at": to_ms(key.created_at),
        "expires_at": to_ms_or_none(key.expires_at),
        "revoked_at": to_ms_or_none(key.revoked_at),
        "last_used_at": to_ms_or_none(key.last_used_at),
        "last_used_from": key.last_used_from,
    }


@row_of(API_KEY_PREFIX)
def read_api_key(row: Row) -> ApiKey:
    """A key. Raises `RowUnreadable`."""
    return ApiKey(
        id=ApiKeyId(row["id"]),
        account_id=AccountId(row["account_id"]),
        name=row["name"],
        scope=Scope(row["scope"]),
        mode=KeyMode(row["mode"]),
        prefix=row["prefix"],
        created_at=from_ms(row["created_at"]),
        expires_at=from_ms_or_none(row["expires_at"]),
        revoked_at=from_ms_or_none(row["revoked_at"]),
        last_used_at=from_ms_or_none(row["last_used_at"]),
        last_used_from=row["last_used_from"],
    )
