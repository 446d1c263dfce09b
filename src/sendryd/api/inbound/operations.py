"""Mail that comes in: where it is to be posted. None comes in yet, so that lists are empty and there is no address."""

from typing import Final

from sendryd.accounts.inbound import InboundOffice
from sendryd.api.framework.answers import Page, page
from sendryd.api.framework.bodies import PageQuery
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, not_found, parse_cursor
from sendryd.api.inbound.schema import InboundConfig, InboundConfigBody, InboundEmail, config_json
from sendryd.model.apikey import Scope
from sendryd.policy.urlguard import UrlRefused

GROUP: Final = "Inbound"
INBOUND_PREFIX: Final = "inb"


class InboundHandlers:
    """Everything about mail that comes in."""

    def __init__(self, office: InboundOffice) -> None:
        self._office = office

    def operations(self) -> list[Operation]:
        """The declarations."""
        path = "/v1/inbound"
        config = f"{path}/config"
        return [
            Operation(
                method="GET",
                path=path,
                group=GROUP,
                summary="List received emails",
                handler=self.list,
            ),
            Operation(
                method="GET",
                path=config,
                group=GROUP,
                summary="Get where received emails are posted; only a live key with full access sees the secret and the whole URL",
                handler=self.get_config,
            ),
            Operation(
                method="PUT",
                path=config,
                group=GROUP,
                summary="Set where received emails are posted; url null switches it off",
                handler=self.set_config,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                example={"url": "https://example.com/inbound"},
            ),
            Operation(method="GET", path=f"{path}/{{id}}", group=GROUP, summary="Get a received email", handler=self.get),
        ]

    async def list(self, call: Call[None, PageQuery]) -> Page[InboundEmail]:
        """`GET /v1/inbound`."""
        parse_cursor(call.query.cursor, INBOUND_PREFIX)
        return page([], has_more=False)

    async def get(self, _call: Call[None, None]) -> InboundEmail:
        """`GET /v1/inbound/:id`."""
        raise not_found("Received email")

    async def get_config(self, call: Call[None, None]) -> InboundConfig:
        """`GET /v1/inbound/config`."""
        return config_json(await self._office.get(call.key.account_id), call.key)

    async def set_config(self, call: Call[InboundConfigBody, None]) -> InboundConfig:
        """`PUT /v1/inbound/config`. Without a secret the one that is there stays, or one is made."""
        body = call.body
        try:
            forwarding = await self._office.set(call.key.account_id, url=body.url, secret=body.secret)
        except UrlRefused as error:
            raise invalid("url", str(error)) from None
        return config_json(forwarding, call.key)
