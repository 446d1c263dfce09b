"""Accounts and rows of `account`."""

import json
from dataclasses import asdict

from sendryd.model.account import (
    Account,
    AccountSettings,
    AccountSmartHost,
    AlertRecipients,
    AlertScope,
    AlertSettings,
    Branding,
    InboundForwarding,
)
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId
from sendryd.policy.smarthost import parse_smart_host
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, to_json


def account_settings_json(settings: AccountSettings) -> str:
    """Settings as stored."""
    return to_json(asdict(settings))


@row_of(ORGANIZATION_PREFIX)
def read_account(row: Row) -> Account:
    """An account. Missing settings have their defaults. Raises `RowUnreadable`."""
    settings = json.loads(row["settings"])
    branding = Branding(**settings.pop("branding", {}))
    inbound = InboundForwarding(**settings.pop("inbound", {}))
    alerts = settings.pop("alerts", {})
    smarthost = AccountSmartHost(**settings.pop("smarthost", {}))
    parse_smart_host(smarthost.url)  # without it mail would leave by itself
    return Account(
        id=AccountId(row["id"]),
        name=row["name"],
        created_at=from_ms(row["created_at"]),
        settings=AccountSettings(branding=branding, inbound=inbound, alerts=_alerts(alerts), smarthost=smarthost, **settings),
    )


def _alerts(stored: dict[str, str | None]) -> AlertSettings:
    usual = AlertSettings()
    return AlertSettings(
        recipients=AlertRecipients(stored.get("recipients") or usual.recipients),
        scope=AlertScope(stored.get("scope") or usual.scope),
        url=stored.get("url"),
    )
