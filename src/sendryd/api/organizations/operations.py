"""The account: its name, how its pages look, and the regions that it prefers."""

from typing import Final

from sendryd.accounts.account import AccountOffice
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.organizations.schema import (
    Branding,
    BrandingBody,
    Organization,
    OrganizationBody,
    OrganizationRegion,
    RegionBody,
    branding_json,
    organization_json,
    region_json,
)
from sendryd.api.regions.operations import GROUP as REGIONS
from sendryd.model.apikey import Scope

GROUP: Final = "Organizations"


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
            Operation(method="GET", path=path, group=GROUP, summary="Get the account of the key", handler=self.get),
            Operation(
                method="PATCH",
                path=path,
                group=GROUP,
                summary="Rename the account",
                handler=self.rename,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"name": "Acme"},
            ),
            Operation(
                method="GET",
                path=f"{path}/branding",
                group=GROUP,
                summary="Get how the pages look that recipients see",
                handler=self.get_branding,
            ),
            Operation(
                method="PATCH",
                path=f"{path}/branding",
                group=GROUP,
                summary="Set how the pages look that recipients see",
                handler=self.set_branding,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
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
            ),
            Operation(
                method="PATCH",
                path=path,
                group=REGIONS,
                summary="Note the regions that the account prefers",
                handler=self.set_region,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"default_region": "eu-west-1", "data_residency": "eu"},
            ),
        ]

    async def get(self, call: Call[None, None]) -> Organization:
        """`GET /v1/organizations/me`."""
        return organization_json(await self._office.get(call.key.account_id))

    async def rename(self, call: Call[OrganizationBody, None]) -> Organization:
        """`PATCH /v1/organizations/me`."""
        return organization_json(await self._office.rename(call.key.account_id, call.body.name))

    async def get_branding(self, call: Call[None, None]) -> Branding:
        """`GET /v1/organizations/me/branding`."""
        return branding_json(await self._office.get(call.key.account_id))

    async def set_branding(self, call: Call[BrandingBody, None]) -> Branding:
        """`PATCH /v1/organizations/me/branding`. Null brings back what is shown without a setting."""
        return branding_json(await self._office.change(call.key.account_id, call.body.change))

    async def get_region(self, call: Call[None, None]) -> OrganizationRegion:
        """`GET /v1/organizations/me/region`."""
        return region_json(await self._office.get(call.key.account_id))

    async def set_region(self, call: Call[RegionBody, None]) -> OrganizationRegion:
        """`PATCH /v1/organizations/me/region`: kept for clients that set it; all mail goes out from here."""
        return region_json(await self._office.change(call.key.account_id, call.body.change))
