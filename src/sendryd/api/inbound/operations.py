"""Mail that comes in, and where it is posted."""

from typing import Final

from sendryd.accounts.inbound import Inbound
from sendryd.api.framework.answers import Page, page
from sendryd.api.framework.bodies import PageQuery
from sendryd.api.framework.group import Group, public_id
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, not_found, parse_cursor
from sendryd.api.inbound.schema import InboundConfig, InboundConfigBody, InboundEmail, config_json, email_json
from sendryd.model.apikey import KeyMode
from sendryd.model.ids import INBOUND_PREFIX, InboundId, parse_id
from sendryd.policy.urlguard import UrlRefused

GROUP: Final = Group("Inbound", "Received emails.", {"inbound": public_id("a received email", "inb", "Received email")})


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
        """List received emails, newest first, of the last 30 days.

        A test key sees none: what comes in is live mail.
        """
        before = parse_cursor(call.query.cursor, InboundId, INBOUND_PREFIX)
        if call.key.mode is not KeyMode.LIVE:
            return page([], has_more=False)
        found = await self._inbound.page(call.key.account_id, limit=call.query.limit, before=before)
        return page([email_json(each) for each in found.items], has_more=found.has_more)

    async def get(self, call: Call[None, None]) -> InboundEmail:
        """Get a received email."""
        number = parse_id(call.params["id"], INBOUND_PREFIX)
        if number is None or call.key.mode is not KeyMode.LIVE:
            raise not_found("Received email")
        return email_json(await self._inbound.find(call.key.account_id, InboundId(number)))

    async def get_config(self, call: Call[None, None]) -> InboundConfig:
        """Get where received emails are posted.

        Only a live key with full access sees the secret and the whole URL.
        """
        account_id = call.key.account_id
        return config_json(await self._inbound.get(account_id), call.key, self._inbound.address(account_id))

    async def set_config(self, call: Call[InboundConfigBody, None]) -> InboundConfig:
        """Set where received emails are posted.

        A null `url` switches forwarding off. Without `secret`, the present one stays, or the server makes one.
        """
        body = call.body
        try:
            forwarding = await self._inbound.set(call.key.account_id, url=body.url, secret=body.secret)
        except UrlRefused as error:
            raise invalid("url", str(error)) from None
        return config_json(forwarding, call.key, self._inbound.address(call.key.account_id))
