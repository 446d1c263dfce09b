"""Mail that comes in: where it is to be posted. None comes in yet, so that lists are empty and there is no address."""

from dataclasses import replace
from typing import Annotated, Final

from pydantic import Field

from sendryd.accounts.account import AccountOffice
from sendryd.api.framework.answers import Json, Page
from sendryd.api.framework.bodies import Body, Line, PageQuery
from sendryd.api.framework.operation import Call, Operation
from sendryd.api.framework.requests import invalid, not_found, parse_cursor
from sendryd.api.shapes import InboundConfig, InboundEmail
from sendryd.api.wire import page
from sendryd.model.account import AccountSettings, InboundForwarding
from sendryd.model.apikey import ApiKey, KeyMode, Scope
from sendryd.policy.permissions import may_see_secrets, may_see_url
from sendryd.policy.urlguard import UrlRefused, check_url, origin_of
from sendryd.runtime.rand import Rand

GROUP: Final = "Inbound"
INBOUND_PREFIX: Final = "inb"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  what secrets begin with
SECRET_LENGTH: Final = 44  # letters and digits: 262 bits, and 33 octets when read as base64


class InboundConfigBody(Body):
    """Where to post."""

    url: Annotated[str, Field(max_length=2048, json_schema_extra={"format": "uri"})] | None
    secret: Annotated[Line, Field(min_length=1, max_length=256)] | None = None


class InboundHandlers:
    """Everything about mail that comes in."""

    def __init__(self, office: AccountOffice, rand: Rand, *, allow_private: bool) -> None:
        self._office = office
        self._rand = rand
        self._allow_private = allow_private

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
                answers=Page[InboundEmail],
            ),
            Operation(
                method="GET",
                path=config,
                group=GROUP,
                summary="Get where received emails are posted; only a live key with full access sees the secret and the whole URL",
                handler=self.get_config,
                answers=InboundConfig,
            ),
            Operation(
                method="PUT",
                path=config,
                group=GROUP,
                summary="Set where received emails are posted; url null switches it off",
                handler=self.set_config,
                scope=Scope.FULL_ACCESS,
                is_live_only=True,
                answers=InboundConfig,
                example={"url": "https://example.com/inbound"},
            ),
            Operation(
                method="GET", path=f"{path}/{{id}}", group=GROUP, summary="Get a received email", handler=self.get, answers=InboundEmail
            ),
        ]

    async def list(self, call: Call[None, PageQuery]) -> Json:
        """`GET /v1/inbound`."""
        parse_cursor(call.query.cursor, INBOUND_PREFIX)
        return page([], has_more=False)

    async def get(self, _call: Call[None, None]) -> Json:
        """`GET /v1/inbound/:id`."""
        raise not_found("Received email")

    async def get_config(self, call: Call[None, None]) -> Json:
        """`GET /v1/inbound/config`."""
        account = await self._office.get(call.key.account_id)
        return _config_json(account.settings.inbound, call.key)

    async def set_config(self, call: Call[InboundConfigBody, None]) -> Json:
        """`PUT /v1/inbound/config`. Without a secret the one that is there stays, or one is made."""
        body: InboundConfigBody = call.body
        try:
            url = check_url(body.url, allow_private=self._allow_private) if body.url is not None else None
        except UrlRefused as error:
            raise invalid("url", str(error)) from None

        def change(settings: AccountSettings) -> AccountSettings:
            secret = body.secret
            if url is not None:
                secret = secret or settings.inbound.secret or SECRET_PREFIX + self._rand.secret(SECRET_LENGTH)
            return replace(settings, inbound=InboundForwarding(url=url, secret=secret))

        account = await self._office.change(call.key.account_id, change)
        return _config_json(account.settings.inbound, call.key)


def _config_json(inbound: InboundForwarding, key: ApiKey) -> Json:
    url = inbound.url
    if url is not None and not may_see_url(key, KeyMode.LIVE):
        url = origin_of(url)
    return {"inbound_address": None, "url": url, "secret": inbound.secret if may_see_secrets(key) else None}
