"""Accounts, API keys, sending domains, logos."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sendryd.model.account import Account, AccountSettings, Branding, InboundForwarding
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.model.domain import Bimi, DnsRecord, DomainSettings, DomainStatus, RecordPurpose, SendingDomain, TlsPolicy
from sendryd.model.ids import (
    API_KEY_PREFIX,
    DOMAIN_PREFIX,
    ORGANIZATION_PREFIX,
    AccountId,
    ApiKeyId,
    DomainId,
)
from sendryd.store.codec.reading import FAULTS, Row, row_of
from sendryd.store.codec.values import from_ms, from_ms_or_none, to_json, to_ms, to_ms_or_none


@row_of(API_KEY_PREFIX)
def read_api_key(row: Row) -> ApiKey:
    """A key from its columns."""
    return ApiKey(
        id=ApiKeyId(row[0]),
        account_id=AccountId(row[1]),
        name=row[2],
        scope=Scope(row[3]),
        mode=KeyMode(row[4]),
        prefix=row[5],
        created_at=from_ms(row[6]),
        expires_at=from_ms_or_none(row[7]),
        revoked_at=from_ms_or_none(row[8]),
        last_used_at=from_ms_or_none(row[9]),
    )


def settings_json(settings: DomainSettings) -> str:
    """Settings as stored."""
    return to_json(asdict(settings))


def records_json(records: Sequence[DnsRecord]) -> str:
    """Records as stored."""
    return to_json([asdict(record) for record in records])


def _read_records(text: str) -> tuple[DnsRecord, ...]:
    """The records of the last check; none if they are damaged: the next check makes them anew."""
    try:
        return tuple(DnsRecord(**{**record, "purpose": RecordPurpose(record["purpose"])}) for record in json.loads(text))
    except FAULTS:
        return ()


@row_of(DOMAIN_PREFIX)
def read_domain(row: Row) -> SendingDomain:
    """A sending domain from its columns. Settings that are damaged are not guessed: one of them may forbid clear text."""
    settings = json.loads(row[6])
    return SendingDomain(
        id=DomainId(row[0]),
        account_id=AccountId(row[1]),
        name=row[2],
        status=DomainStatus(row[3]),
        selector=row[4],
        public_key=row[5],
        settings=DomainSettings(**{**settings, "tls_policy": TlsPolicy(settings["tls_policy"])}),
        created_at=from_ms(row[8]),
        verified_at=from_ms_or_none(row[9]),
        checked_at=from_ms_or_none(row[10]),
        failing_since=from_ms_or_none(row[11]),
        failures=row[12],
        records=_read_records(row[7]),
    )


def bimi_row(bimi: Bimi) -> tuple[Any, ...]:
    """The values of `set_bimi` behind the domain."""
    return (
        bimi.logo_url,
        bimi.vmc_url,
        bimi.selector,
        bimi.is_verified,
        to_ms_or_none(bimi.verified_at),
        to_ms(bimi.created_at),
        to_ms(bimi.updated_at),
    )


def read_bimi(row: Row) -> Bimi:
    """A logo from its columns."""
    return Bimi(
        logo_url=row[0],
        vmc_url=row[1],
        selector=row[2],
        is_verified=bool(row[3]),
        verified_at=from_ms_or_none(row[4]),
        created_at=from_ms(row[5]),
        updated_at=from_ms(row[6]),
    )


@row_of(ORGANIZATION_PREFIX)
def read_account(row: Row) -> Account:
    """An account from its columns. Settings that it lacks have their defaults."""
    settings = json.loads(row[3])
    branding = Branding(**settings.pop("branding", {}))
    inbound = InboundForwarding(**settings.pop("inbound", {}))
    return Account(
        id=AccountId(row[0]),
        name=row[1],
        created_at=from_ms(row[2]),
        settings=AccountSettings(branding=branding, inbound=inbound, **settings),
    )
