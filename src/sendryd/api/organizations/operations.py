"""The account: its name, how its pages look, and the regions that it prefers."""

import re
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from sendryd.accounts.account import AccountOffice
from sendryd.api.framework.answers import Json
from sendryd.api.framework.bodies import Body, Name
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.urls import WebUrl
from sendryd.api.regions.operations import GROUP as REGIONS
from sendryd.api.regions.schema import RegionCode
from sendryd.api.shapes import Branding as BrandingShape
from sendryd.api.shapes import Organization, OrganizationRegion
from sendryd.model.account import Account, AccountSettings, Branding
from sendryd.model.apikey import Scope
from sendryd.model.ids import ORGANIZATION_PREFIX, format_id
from sendryd.model.moment import timestamp

GROUP: Final = "Organizations"
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
    """How pages look. `unsubscribe_copy` is another name of `unsubscribe_message`."""

    brand_color: Annotated[str, AfterValidator(_read_colour)] | None = None
    brand_logo: WebUrl | None = None
    unsubscribe_heading: Name | None = None
    unsubscribe_message: Copy | None = None
    unsubscribe_copy: Copy | None = None
    unsubscribe_redirect_url: WebUrl | None = None
    footer_copy: Copy | None = None


class RegionBody(Body):
    """What to prefer."""

    default_region: RegionCode | None = None
    data_residency: Literal["none", "eu", "us", "ap"] | None = None


class OrganizationHandlers:
    """Everything about the account itself."""

    def __init__(self, office: AccountOffice) -> None:
        self._office = office

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [*self._organization(), *self._region()]

    def _organization(self) -> list[Operation]:
        path = "/v1/organizations/me"
        return [
            Operation(method="GET", path=path, group=GROUP, summary="Get the account of the key", handler=self.get, answers=Organization),
            Operation(
                method="PATCH",
                path=path,
                group=GROUP,
                summary="Rename the account",
                handler=self.rename,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=Organization,
                example={"name": "Acme"},
            ),
            Operation(
                method="GET",
                path=f"{path}/branding",
                group=GROUP,
                summary="Get how the pages look that recipients see",
                handler=self.get_branding,
                answers=BrandingShape,
            ),
            Operation(
                method="PATCH",
                path=f"{path}/branding",
                group=GROUP,
                summary="Set how the pages look that recipients see",
                handler=self.set_branding,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=BrandingShape,
                example={"brand_color": "#3355ff", "unsubscribe_heading": "Leaving so soon?"},
            ),
        ]

    def _region(self) -> list[Operation]:
        path = "/v1/organizations/me/region"
        return [
            Operation(
                method="GET",
                path=path,
                group=REGIONS,
                summary="Get the regions that the account prefers",
                handler=self.get_region,
                answers=OrganizationRegion,
            ),
            Operation(
                method="PATCH",
                path=path,
                group=REGIONS,
                summary="Note the regions that the account prefers",
                handler=self.set_region,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=OrganizationRegion,
                example={"default_region": "eu-west-1", "data_residency": "eu"},
            ),
        ]

    async def get(self, call: Call[None, None]) -> Json:
        """`GET /v1/organizations/me`."""
        return _organization_json(await self._office.get(call.key.account_id))

    async def rename(self, call: Call[OrganizationBody, None]) -> Json:
        """`PATCH /v1/organizations/me`."""
        return _organization_json(await self._office.rename(call.key.account_id, call.body.name))

    async def get_branding(self, call: Call[None, None]) -> Json:
        """`GET /v1/organizations/me/branding`."""
        return _branding_json(await self._office.get(call.key.account_id))

    async def set_branding(self, call: Call[BrandingBody, None]) -> Json:
        """`PATCH /v1/organizations/me/branding`. Null brings back what is shown without a setting."""
        changes = _read_branding(call.body)

        def change(settings: AccountSettings) -> AccountSettings:
            return replace(settings, branding=replace(settings.branding, **changes))

        return _branding_json(await self._office.change(call.key.account_id, change))

    async def get_region(self, call: Call[None, None]) -> Json:
        """`GET /v1/organizations/me/region`."""
        return _region_json(await self._office.get(call.key.account_id))

    async def set_region(self, call: Call[RegionBody, None]) -> Json:
        """`PATCH /v1/organizations/me/region`: kept for clients that set it; all mail goes out from here."""
        body: RegionBody = call.body
        changes: dict[str, Any] = {}
        if "default_region" in body.model_fields_set:
            changes["default_region"] = body.default_region
        if body.data_residency is not None:
            changes["data_residency"] = body.data_residency
        return _region_json(await self._office.change(call.key.account_id, lambda settings: replace(settings, **changes)))


def _read_branding(body: BrandingBody) -> dict[str, Any]:
    given = {name: getattr(body, name) for name in body.model_fields_set}
    if "unsubscribe_copy" in given:
        message = given.pop("unsubscribe_copy")
        given.setdefault("unsubscribe_message", message)
    if "brand_color" in given:
        given["brand_color"] = given["brand_color"] or Branding().brand_color
    return {name: value or None for name, value in given.items()}


def _organization_json(account: Account) -> Json:
    created_at = timestamp(account.created_at)
    return {
        "id": format_id(ORGANIZATION_PREFIX, account.id),
        "name": account.name,
        "plan": PLAN,
        "createdAt": created_at,
        "created_at": created_at,
    }


def _branding_json(account: Account) -> Json:
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


def _region_json(account: Account) -> Json:
    return {"default_region": account.settings.default_region, "data_residency": account.settings.data_residency}
