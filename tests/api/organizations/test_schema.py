"""The account's settings, from bodies and model values alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sendryd.api.organizations.schema import BrandingBody, RegionBody, branding_json, organization_json, region_json
from sendryd.model.account import Account, AccountSettings, Branding
from sendryd.model.ids import AccountId

BRANDING = Branding(
    brand_color="#abcdef",
    brand_logo="https://a.test/l.png",
    unsubscribe_heading="Heading",
    unsubscribe_message="Message",
    unsubscribe_redirect_url="https://a.test/",
    footer_copy="Footer",
)
SETTINGS = AccountSettings(branding=BRANDING, default_region="eu", data_residency="us")
ACCOUNT = Account(id=AccountId(1), name="Acme", created_at=datetime(2026, 3, 1, 12, tzinfo=UTC), settings=SETTINGS)


def test_an_account_is_shown() -> None:
    moment = "2026-03-01T12:00:00.000Z"
    assert organization_json(ACCOUNT) == {
        "id": "org_0000000000001",
        "name": "Acme",
        "plan": "self-hosted",
        "createdAt": moment,
        "created_at": moment,
    }
    assert branding_json(ACCOUNT) == {
        "brand_color": "#abcdef",
        "brand_logo": "https://a.test/l.png",
        "unsubscribe_heading": "Heading",
        "unsubscribe_message": "Message",
        "unsubscribe_redirect_url": "https://a.test/",
        "unsubscribe_copy": "Message",
        "footer_copy": "Footer",
    }
    assert region_json(ACCOUNT) == {"default_region": "eu", "data_residency": "us"}


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, {}),
        ({"brand_color": None}, {"brand_color": Branding().brand_color}),
        ({"brand_color": "#ABC"}, {"brand_color": "#abc"}),
        ({"brand_logo": None, "unsubscribe_redirect_url": None}, {"brand_logo": None, "unsubscribe_redirect_url": None}),
        ({"unsubscribe_heading": "H", "footer_copy": ""}, {"unsubscribe_heading": "H", "footer_copy": None}),
        ({"unsubscribe_copy": "C"}, {"unsubscribe_message": "C"}),
        ({"unsubscribe_copy": None}, {"unsubscribe_message": None}),
        ({"unsubscribe_copy": "C", "unsubscribe_message": "M"}, {"unsubscribe_message": "M"}),
        ({"unsubscribe_copy": "C", "unsubscribe_message": None}, {"unsubscribe_message": None}),
    ],
)
def test_branding_that_a_body_does_not_name_stays(given: dict[str, Any], changes: dict[str, Any]) -> None:
    assert BrandingBody.model_validate(given).change(SETTINGS) == replace(SETTINGS, branding=replace(BRANDING, **changes))


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, {}),
        ({"default_region": None, "data_residency": None}, {"default_region": None}),
        ({"default_region": "ap", "data_residency": "none"}, {"default_region": "ap", "data_residency": "none"}),
    ],
)
def test_regions_that_a_body_does_not_name_stay(given: dict[str, Any], changes: dict[str, Any]) -> None:
    assert RegionBody.model_validate(given).change(SETTINGS) == replace(SETTINGS, **changes)
