"""Sending domains, their logos, and rows of `sending_domain` and `bimi`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sendryd.model.domain import (
    LIVE,
    Bimi,
    DkimKey,
    DnsRecord,
    DomainSettings,
    DomainStatus,
    PastCheck,
    RecordPurpose,
    SendingDomain,
    Sighting,
    StsMode,
    TlsPolicy,
)
from sendryd.model.ids import DOMAIN_PREFIX, AccountId, DkimKeyId, DomainId
from sendryd.policy.smarthost import parse_smart_host
from sendryd.policy.wayout import parse_way_out
from sendryd.store.base import DomainCheck, NewDkimKey, NewDomain
from sendryd.store.codec.reading import FAULTS, Row, row_of
from sendryd.store.codec.values import from_ms, from_ms_or_none, to_json, to_ms, to_ms_or_none


def domain_row(new: NewDomain) -> dict[str, Any]:
    """The columns of a new domain."""
    domain = new.domain
    return {
        "id": domain.id,
        "account_id": domain.account_id,
        "name": domain.name,
        "status": domain.status.value,
        "selector": domain.selector,
        "public_key": domain.public_key,
        "private_key": new.private_key,
        "settings": settings_json(domain.settings),
        "records": records_json(domain.records),
        "created_at": to_ms(domain.created_at),
        "verified_at": to_ms_or_none(domain.verified_at),
        "checked_at": to_ms_or_none(domain.checked_at),
        "failing_since": to_ms_or_none(domain.failing_since),
        "failures": domain.failures,
    }


def check_row(check: DomainCheck) -> dict[str, Any]:
    """The columns that a check changes in the row of its domain."""
    return {
        "status": check.status.value,
        "records": records_json(check.records),
        "checked_at": to_ms(check.checked_at),
        "verified_at": to_ms_or_none(check.verified_at),
        "failing_since": to_ms_or_none(check.failing_since),
        "failures": check.failures,
    }


def settings_json(settings: DomainSettings) -> str:
    """Settings as stored."""
    return to_json(asdict(settings))


def _read_records(text: str) -> tuple[DnsRecord, ...]:
    """The records of the last check; none if they are damaged, since the next check replaces them."""
    try:
        return tuple(DnsRecord(**{**record, "purpose": RecordPurpose(record["purpose"])}) for record in json.loads(text))
    except FAULTS:
        return ()


@row_of(DOMAIN_PREFIX)
def read_domain(row: Row) -> SendingDomain:
    """A sending domain. Damaged settings make it unreadable: one of them may forbid clear text. Raises `RowUnreadable`."""
    settings = json.loads(row["settings"])
    parse_smart_host(settings.get("smarthost", ""))  # without it mail would leave by itself
    parse_way_out(settings.get("delivery", LIVE))  # an unknown way could let captured mail leave
    return SendingDomain(
        id=DomainId(row["id"]),
        account_id=AccountId(row["account_id"]),
        name=row["name"],
        status=DomainStatus(row["status"]),
        selector=row["selector"],
        public_key=row["public_key"],
        settings=DomainSettings(
            **{**settings, "tls_policy": TlsPolicy(settings["tls_policy"]), "mta_sts": StsMode(settings.get("mta_sts", StsMode.TESTING))}
        ),
        created_at=from_ms(row["created_at"]),
        verified_at=from_ms_or_none(row["verified_at"]),
        checked_at=from_ms_or_none(row["checked_at"]),
        failing_since=from_ms_or_none(row["failing_since"]),
        failures=row["failures"],
        records=_read_records(row["records"]),
    )


def past_check_row(domain_id: DomainId, check: PastCheck) -> dict[str, Any]:
    """The columns of a check to keep."""
    return {
        "domain_id": domain_id,
        "checked_at": to_ms(check.at),
        "status": check.status.value,
        "faults": to_json({purpose.value: fault for purpose, fault in check.faults.items()}),
        "sightings": to_json([asdict(sighting) for sighting in check.sightings]),
    }


def read_past_check(row: Row) -> PastCheck:
    """A check."""
    return PastCheck(
        at=from_ms(row["checked_at"]),
        status=DomainStatus(row["status"]),
        faults={RecordPurpose(purpose): fault for purpose, fault in json.loads(row["faults"]).items()},
        sightings=tuple(_read_sighting(each) for each in json.loads(row["sightings"])),
    )


def _read_sighting(stored: dict[str, Any]) -> Sighting:
    texts = stored["texts"]
    return Sighting(
        purpose=RecordPurpose(stored["purpose"]), texts=None if texts is None else tuple(texts), servers=tuple(stored["servers"])
    )


def dkim_key_row(new: NewDkimKey) -> dict[str, Any]:
    """The columns of a new DKIM key."""
    key = new.key
    return {
        "private_key": new.private_key,
        "id": key.id,
        "domain_id": key.domain_id,
        "selector": key.selector,
        "public_key": key.public_key,
        "created_at": to_ms(key.created_at),
        "starts_at": to_ms(key.starts_at),
        "seen_at": to_ms_or_none(key.seen_at),
        "active_at": to_ms_or_none(key.active_at),
        "retired_at": to_ms_or_none(key.retired_at),
    }


def read_dkim_key(row: Row) -> DkimKey:
    """A DKIM key."""
    return DkimKey(
        id=DkimKeyId(row["id"]),
        domain_id=DomainId(row["domain_id"]),
        selector=row["selector"],
        public_key=row["public_key"],
        created_at=from_ms(row["created_at"]),
        starts_at=from_ms(row["starts_at"]),
        seen_at=from_ms_or_none(row["seen_at"]),
        active_at=from_ms_or_none(row["active_at"]),
        retired_at=from_ms_or_none(row["retired_at"]),
    )


def records_json(records: Sequence[DnsRecord]) -> str:
    """Records as stored."""
    return to_json([asdict(record) for record in records])


def bimi_row(domain_id: DomainId, bimi: Bimi) -> dict[str, Any]:
    """The columns of a domain's logo."""
    return {
        "domain_id": domain_id,
        "logo_url": bimi.logo_url,
        "vmc_url": bimi.vmc_url,
        "selector": bimi.selector,
        "is_verified": bimi.is_verified,
        "verified_at": to_ms_or_none(bimi.verified_at),
        "created_at": to_ms(bimi.created_at),
        "updated_at": to_ms(bimi.updated_at),
    }


def read_bimi(row: Row) -> Bimi:
    """A logo."""
    return Bimi(
        logo_url=row["logo_url"],
        vmc_url=row["vmc_url"],
        selector=row["selector"],
        is_verified=bool(row["is_verified"]),
        verified_at=from_ms_or_none(row["verified_at"]),
        created_at=from_ms(row["created_at"]),
        updated_at=from_ms(row["updated_at"]),
    )
