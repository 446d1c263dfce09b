"""What a key may see of where mail is posted, from model values alone."""

from datetime import UTC, datetime

import pytest

from sendryd.api.inbound.schema import config_json
from sendryd.model.account import InboundForwarding
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.ids import AccountId, ApiKeyId

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORWARDING = InboundForwarding(url="https://hooks.example.com/in?token=a", secret="whsec_a")


@pytest.mark.parametrize(
    ("scope", "mode", "sees_all"),
    [
        (Scope.FULL_ACCESS, KeyMode.LIVE, True),
        (Scope.FULL_ACCESS, KeyMode.TEST, False),
        (Scope.SENDING_ACCESS, KeyMode.LIVE, False),
        (Scope.READ_ONLY, KeyMode.LIVE, False),
    ],
)
def test_few_keys_see_the_secret_and_the_whole_url(scope: Scope, mode: KeyMode, sees_all: bool) -> None:
    key = ApiKey(id=ApiKeyId(1), account_id=AccountId(1), name="n", scope=scope, mode=mode, prefix="sn", created_at=NOW)
    shown = config_json(FORWARDING, key)
    assert shown["inbound_address"] is None
    assert (shown["url"] == FORWARDING.url, shown["secret"] == FORWARDING.secret) == (sees_all, sees_all)
    assert "token" not in str(shown) or sees_all
    assert config_json(InboundForwarding(), key) == {"inbound_address": None, "url": None, "secret": None}
