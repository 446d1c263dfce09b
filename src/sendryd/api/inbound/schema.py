"""Mail that comes in, and where it is posted, as requests and answers have them. Pure."""

from typing import Annotated, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.api.framework.bodies import Body, Line
from sendryd.model.account import InboundForwarding
from sendryd.model.actor import Actor
from sendryd.model.apikey import KeyMode
from sendryd.model.inbound import InboundMail
from sendryd.policy.payload import inbound_payload
from sendryd.policy.permissions import may_see_secrets, may_see_url
from sendryd.policy.urlguard import origin_of


class InboundConfigBody(Body):
    """The URL to post received emails to."""

    url: Annotated[str, Field(max_length=2048, json_schema_extra={"format": "uri"})] | None
    secret: Annotated[Line, Field(min_length=1, max_length=256)] | None = None


class InboundAttachment(TypedDict):
    """An attachment of a received email."""

    filename: str
    contentType: str
    size: int
    contentId: NotRequired[str]


InboundEmail = TypedDict(
    "InboundEmail",
    {
        "id": str,
        "from": str,
        "to": list[str],
        "cc": list[str],
        "subject": str | None,
        "text": str | None,
        "html": str | None,
        "headers": dict[str, str] | None,
        "attachments": list[InboundAttachment],
        "webhook_delivered": bool,
        "created_at": str,
    },
)


class InboundConfig(TypedDict):
    """Where received emails are posted."""

    inbound_address: str | None
    url: str | None
    secret: str | None


def email_json(mail: InboundMail) -> InboundEmail:
    """A received email."""
    return cast("InboundEmail", inbound_payload(mail))


def config_json(forwarding: InboundForwarding, actor: Actor, address: str | None = None) -> InboundConfig:
    """Where mail that comes in is posted, as much as this key may see of it."""
    url = forwarding.url
    if url is not None and not may_see_url(actor, KeyMode.LIVE):
        url = origin_of(url)
    return {"inbound_address": address, "url": url, "secret": forwarding.secret if may_see_secrets(actor) else None}
