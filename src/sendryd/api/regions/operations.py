"""The regions that there are: this server."""

from typing import Final

from sendryd.api.framework.answers import Whole
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.regions.schema import Region

GROUP: Final = "Regions"
OWN_REGION: Final = "self"


class RegionHandlers:
    """One operation."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname

    def operations(self) -> list[Operation]:
        """The declaration."""
        return [
            Operation(
                method="GET",
                path="/v1/regions",
                group=GROUP,
                summary="List the regions: the one that this server is",
                handler=self.list,
            )
        ]

    async def list(self, _call: Call[None, None]) -> Whole[Region]:
        """`GET /v1/regions`."""
        return {"data": [{"region_code": OWN_REGION, "display_name": self._hostname, "is_default": True, "active": True}]}
