"""API keys in answers, from model values alone."""

from dataclasses import replace
from datetime import UTC, datetime

from sendryd.api.api_keys.schema import key_json, new_key_json
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import AccountId, ApiKeyId

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_key_shows_its_secret_only_when_it_is_made() -> None:
    key = ApiKey(
        id=ApiKeyId(1), account_id=AccountId(1), name="n", scope=Scope.READ_ONLY, mode=KeyMode.TEST, prefix="sn_test_abcd", created_at=NOW
    )
    expected = {
        "id": "key_0000000000001",
        "name": "n",
        "scope": "read_only",
        "mode": "test",
        "key_prefix": "sn_test_abcd",
        "last_used_at": None,
        "created_at": "2026-03-01T12:00:00.000Z",
        "expires_at": None,
        "revoked_at": None,
    }
    assert key_json(key) == expected
    assert new_key_json(key, "sn_test_x") == {**expected, "key": "sn_test_x"}
    assert key_json(replace(key, revoked_at=NOW))["revoked_at"] == "2026-03-01T12:00:00.000Z"
