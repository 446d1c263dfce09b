"""The regions that there are: this server."""

from typing import Final

from sendryd.api.framework.answers import Whole
from sendryd.api.framework.group import Group
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.regions.schema import Region

GROUP: Final = Group("Regions", "For clients of hosted services: this server is the only region.")
OWN_REGION: Final = "self"


class RegionHandlers:
    """One operation."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname

    def operations(self) -> list[Operation]:
        """The declaration."""
        return [Operation(GROUP, "GET /v1/regions", self.list)]

    async def list(self, _call: Call[None, None]) -> Whole[Region]:
        """List the regions.

        This server is the only region.
        """
        return {"data": [{"region_code": OWN_REGION, "display_name": self._hostname, "is_default": True, "active": True}]}
