"""Mail that comes in: where it is to be posted. None comes in yet, so that lists are empty and there is no address."""

from typing import Final

from sendryd.accounts.inbound import Inbound
from sendryd.api.framework.answers import Page, page
from sendryd.api.framework.bodies import PageQuery
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, not_found, parse_cursor
from sendryd.api.inbound.schema import InboundConfig, InboundConfigBody, InboundEmail, config_json
from sendryd.policy.urlguard import UrlRefused

GROUP: Final = Group("Inbound", "Received emails.", {"inbound": public_id("a received email", "inb", "Received email")})
INBOUND_PREFIX: Final = "inb"


class InboundHandlers:
    """The operations on received emails."""

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound

    def operations(self) -> list[Operation]:
        """The declarations."""
        return [
            Operation(GROUP, "GET /v1/inbound", self.list),
            Operation(GROUP, "GET /v1/inbound/config", self.get_config),
            Operation(GROUP, "PUT /v1/inbound/config", self.set_config, is_live_only=True, example={"url": "https://example.com/inbound"}),
            Operation(GROUP, "GET /v1/inbound/{id}", self.get),
        ]

    async def list(self, call: Call[None, PageQuery]) -> Page[InboundEmail]:
        """List received emails.

        This server receives no mail yet: the list is empty.
        """
        parse_cursor(call.query.cursor, int, INBOUND_PREFIX)
        return page([], has_more=False)

    async def get(self, _call: Call[None, None]) -> InboundEmail:
        """Get a received email.

        This server receives no mail yet: the answer is a 404.
        """
        raise not_found("Received email")

    async def get_config(self, call: Call[None, None]) -> InboundConfig:
        """Get where received emails are posted.

        Only a live key with full access sees the secret and the whole URL.
        """
        return config_json(await self._inbound.get(call.key.account_id), call.key)

    async def set_config(self, call: Call[InboundConfigBody, None]) -> InboundConfig:
        """Set where received emails are posted.

        A null `url` switches forwarding off. Without `secret`, the present one stays, or the server makes one.
        """
        body = call.body
        try:
            forwarding = await self._inbound.set(call.key.account_id, url=body.url, secret=body.secret)
        except UrlRefused as error:
            raise invalid("url", str(error)) from None
        return config_json(forwarding, call.key)
