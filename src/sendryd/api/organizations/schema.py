"""The account as requests and answers have it: its name, how its pages look, the regions that it prefers. Pure."""

import re
from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from sendryd.api.framework.bodies import Body, Name
from sendryd.api.framework.urls import WebUrl
from sendryd.api.regions.schema import RegionCode
from sendryd.model import account as model
from sendryd.model.ids import ORGANIZATION_PREFIX, format_id
from sendryd.model.moment import timestamp

PLAN: Final = "self-hosted"
MAX_COPY: Final = 2000  # characters of a paragraph on a page of few words
_COLOUR: Final = re.compile(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})", re.ASCII)
_FORBIDDEN: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def _read_colour(text: str) -> str:
    if not _COLOUR.fullmatch(text):
        raise ValueError("write a colour as #RRGGBB or #RGB")
    return text.lower()


def _read_copy(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if _FORBIDDEN.search(text):
        raise ValueError("it must not have control characters other than line breaks")
    return text


Copy = Annotated[str, Field(max_length=MAX_COPY), AfterValidator(_read_copy)]


class OrganizationBody(Body):
    """The account's name."""

    name: Name


class BrandingBody(Body):
    """The branding to set. `unsubscribe_copy` is another name of `unsubscribe_message`."""

    brand_color: Annotated[str, AfterValidator(_read_colour)] | None = None
    brand_logo: WebUrl | None = None
    unsubscribe_heading: Name | None = None
    unsubscribe_message: Copy | None = None
    unsubscribe_copy: Copy | None = None
    unsubscribe_redirect_url: WebUrl | None = None
    footer_copy: Copy | None = None

    def change(self, settings: model.AccountSettings) -> model.AccountSettings:
        """The settings with what changes. Null brings back what is shown without a setting."""
        old = settings.branding
        message = self._one("unsubscribe_copy", old.unsubscribe_message)
        branding = model.Branding(
            brand_color=self._one("brand_color", old.brand_color) or model.Branding().brand_color,
            brand_logo=self._one("brand_logo", old.brand_logo),
            unsubscribe_heading=self._one("unsubscribe_heading", old.unsubscribe_heading),
            unsubscribe_message=self._one("unsubscribe_message", message),
            unsubscribe_redirect_url=self._one("unsubscribe_redirect_url", old.unsubscribe_redirect_url),
            footer_copy=self._one("footer_copy", old.footer_copy),
        )
        return replace(settings, branding=branding)

    def _one(self, field: str, old: str | None) -> str | None:
        if field not in self.model_fields_set:
            return old
        given: str | None = getattr(self, field)
        return given or None


class RegionBody(Body):
    """The regions to prefer."""

    default_region: RegionCode | None = None
    data_residency: Literal["none", "eu", "us", "ap"] | None = None

    def change(self, settings: model.AccountSettings) -> model.AccountSettings:
        """The settings with what changes. Null takes the default region away."""
        region = self.default_region if "default_region" in self.model_fields_set else settings.default_region
        return replace(settings, default_region=region, data_residency=self.data_residency or settings.data_residency)


class Organization(TypedDict):
    """An account."""

    id: str
    name: str
    plan: str
    createdAt: str
    created_at: str


class Branding(TypedDict):
    """The branding of pages that recipients see."""

    brand_color: str
    brand_logo: str | None
    unsubscribe_heading: str | None
    unsubscribe_message: str | None
    unsubscribe_redirect_url: str | None
    unsubscribe_copy: str | None
    footer_copy: str | None


class OrganizationRegion(TypedDict):
    """The regions that an account prefers."""

    default_region: str | None
    data_residency: str


def organization_json(account: model.Account) -> Organization:
    """An account. `createdAt` is for older clients."""
    created_at = timestamp(account.created_at)
    return {
        "id": format_id(ORGANIZATION_PREFIX, account.id),
        "name": account.name,
        "plan": PLAN,
        "createdAt": created_at,
        "created_at": created_at,
    }


def branding_json(account: model.Account) -> Branding:
    """How the pages of an account look."""
    branding = account.settings.branding
    return {
        "brand_color": branding.brand_color,
        "brand_logo": branding.brand_logo,
        "unsubscribe_heading": branding.unsubscribe_heading,
        "unsubscribe_message": branding.unsubscribe_message,
        "unsubscribe_redirect_url": branding.unsubscribe_redirect_url,
        "unsubscribe_copy": branding.unsubscribe_message,
        "footer_copy": branding.footer_copy,
    }


def region_json(account: model.Account) -> OrganizationRegion:
    """What an account prefers."""
    return {"default_region": account.settings.default_region, "data_residency": account.settings.data_residency}
