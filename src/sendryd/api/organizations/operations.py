"""The account: its name, how its pages look, and the regions that it prefers."""

from typing import Final

from sendryd.accounts.account import Accounts
from sendryd.api.framework.group import Group
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

GROUP: Final = Group("Organizations", "The key's account.")


class OrganizationHandlers:
    """The operations on the account itself."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(GROUP, "GET /v1/organizations/me", self.get),
            Operation(GROUP, "PATCH /v1/organizations/me", self.rename, is_live_only=True, example={"name": "Acme"}),
            Operation(GROUP, "GET /v1/organizations/me/branding", self.get_branding),
            Operation(
                GROUP,
                "PATCH /v1/organizations/me/branding",
                self.set_branding,
                is_live_only=True,
                example={"brand_color": "#3355ff", "unsubscribe_heading": "Leaving so soon?"},
            ),
            Operation(REGIONS, "GET /v1/organizations/me/region", self.get_region),
            Operation(
                REGIONS,
                "PATCH /v1/organizations/me/region",
                self.set_region,
                is_live_only=True,
                example={"default_region": "eu-west-1", "data_residency": "eu"},
            ),
        ]

    async def get(self, call: Call[None, None]) -> Organization:
        """Get the key's account.

        Every key belongs to one account.
        """
        return organization_json(await self._accounts.get(call.key.account_id))

    async def rename(self, call: Call[OrganizationBody, None]) -> Organization:
        """Rename the account.

        The name appears in reports.
        """
        return organization_json(await self._accounts.rename(call.key.account_id, call.body.name))

    async def get_branding(self, call: Call[None, None]) -> Branding:
        """Get the branding of pages that recipients see.

        These are the pages for unsubscribing.
        """
        return branding_json(await self._accounts.get(call.key.account_id))

    async def set_branding(self, call: Call[BrandingBody, None]) -> Branding:
        """Set the branding of pages that recipients see.

        A null field returns to its default.
        """
        return branding_json(await self._accounts.change(call.key.account_id, call.body.change))

    async def get_region(self, call: Call[None, None]) -> OrganizationRegion:
        """Get the account's preferred regions.

        All mail is sent from this server.
        """
        return region_json(await self._accounts.get(call.key.account_id))

    async def set_region(self, call: Call[RegionBody, None]) -> OrganizationRegion:
        """Set the account's preferred regions.

        The server stores the regions for clients that set them; all mail is sent from this server.
        """
        return region_json(await self._accounts.change(call.key.account_id, call.body.change))
