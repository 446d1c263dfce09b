"""Sending domains and their logos, from model values alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sendryd.api.domains.schema import DomainBody, DomainRegionBody, bimi_verification_json, domain_json, verification_json
from sendryd.model.domain import Bimi, DnsRecord, DomainSettings, DomainStatus, RecordPurpose, SendingDomain, TlsPolicy
from sendryd.model.ids import AccountId, DomainId

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RIGHT = DnsRecord(purpose=RecordPurpose.SPF, type="TXT", name="example.test", value="v=spf1", is_required=True, is_verified=True)
WRONG = replace(RIGHT, is_verified=False, reason="No SPF record was found: publish it.")
SETTINGS = DomainSettings(tls_policy=TlsPolicy.ENFORCED, track_opens=True, custom_return_path="bounces.example.test", region="eu")
DOMAIN = SendingDomain(
    id=DomainId(1),
    account_id=AccountId(1),
    name="example.test",
    status=DomainStatus.FAILED,
    selector="sendry",
    public_key="MII",
    settings=DomainSettings(tls_policy=TlsPolicy.ENFORCED, track_opens=True),
    created_at=NOW,
    records=(RIGHT, WRONG),
)
LOGO = Bimi(
    logo_url="https://example.test/l.svg",
    vmc_url=None,
    selector="default",
    is_verified=False,
    verified_at=None,
    created_at=NOW,
    updated_at=NOW,
)


def test_a_domain_shows_its_records_and_why_one_is_not_right() -> None:
    shown = {"type": "TXT", "host": "example.test", "value": "v=spf1", "name": "example.test", "required": True}
    assert domain_json(DOMAIN) == {
        "id": "dom_0000000000001",
        "name": "example.test",
        "status": "failed",
        "region": None,
        "tls_policy": "enforced",
        "custom_return_path": None,
        "mta_sts": "testing",
        "delivery": "live",
        "pool": None,
        "smarthost": None,
        "status_reports": False,
        "include_subdomains": False,
        "track_opens": True,
        "track_clicks": False,
        "tracking": {"opens": True, "clicks": False},
        "dns_records": [{**shown, "verified": True}, {**shown, "verified": False, "reason": WRONG.reason}],
        "created_at": "2026-03-01T12:00:00.000Z",
    }


def test_a_check_says_of_each_purpose_what_was_found() -> None:
    dkim = replace(RIGHT, purpose=RecordPurpose.DKIM)
    dmarc = replace(RIGHT, purpose=RecordPurpose.DMARC, name="_dmarc.example.test")
    found = {RecordPurpose.SPF: (), RecordPurpose.DKIM: ("v=DKIM1", "x"), RecordPurpose.DMARC: ("a" * 3000,)}
    shown = verification_json(replace(DOMAIN, records=(dmarc, dkim, WRONG)), found)
    assert (shown["spf_verified"], shown["dkim_verified"], shown["dmarc_verified"]) == (False, True, True)
    assert shown["checks"]["spf"] == {
        "verified": False,
        "found": None,
        "expected": "v=spf1",
        "issue": WRONG.reason,
        "action": "Publish a TXT record of the name example.test with the value v=spf1",
    }
    assert (shown["checks"]["dkim"]["found"], shown["checks"]["dkim"]["action"]) == ("v=DKIM1\nx", None)
    assert shown["checks"]["dmarc"]["found"] == "a" * 2000


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, {}),
        ({"tls_policy": None, "tracking": None, "include_subdomains": None, "track_opens": None}, {}),
        ({"tls_policy": "opportunistic", "include_subdomains": True}, {"tls_policy": TlsPolicy.OPPORTUNISTIC, "include_subdomains": True}),
        ({"tracking": {"opens": False, "clicks": True}}, {"track_opens": False, "track_clicks": True}),
        ({"tracking": {"opens": True}, "track_opens": False}, {"track_opens": False}),
        ({"custom_return_path": None}, {"custom_return_path": None}),
        ({"custom_return_path": ""}, {"custom_return_path": None}),
        ({"custom_return_path": "b.example.test"}, {"custom_return_path": "b.example.test"}),
    ],
)
def test_what_a_body_does_not_name_stays(given: dict[str, object], changes: dict[str, Any]) -> None:
    assert DomainBody.model_validate(given).change(SETTINGS) == replace(SETTINGS, **changes)


def test_null_takes_a_region_away() -> None:
    assert DomainRegionBody.model_validate({}).change(SETTINGS).region == "eu"
    assert DomainRegionBody.model_validate({"region": "us"}).change(SETTINGS).region == "us"
    assert DomainRegionBody.model_validate({"region": None}).change(SETTINGS).region is None


def test_a_logo_that_was_right_once_has_failed() -> None:
    assert bimi_verification_json(LOGO, "No.") == {"verified": False, "status": "pending", "issue": "No."}
    assert bimi_verification_json(replace(LOGO, verified_at=NOW), "No.")["status"] == "failed"
    assert bimi_verification_json(replace(LOGO, is_verified=True, verified_at=NOW), "") == {"verified": True, "status": "verified"}
