"""Unsubscribes as requests and answers have them. Pure."""

from typing import Annotated, Final

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.api.framework.addresses import Address
from sendryd.api.framework.bodies import Body, Line, PageQuery, SearchText
from sendryd.model import suppression as model
from sendryd.model.ids import UNSUBSCRIBE_PREFIX, format_id
from sendryd.model.moment import timestamp

MAX_BATCH: Final = 1000  # what the contract allows
MAX_LIST_ID: Final = 200  # characters, as names have
MAX_REASON: Final = 1000  # characters, as descriptions have

ListId = Annotated[Line, Field(min_length=1, max_length=MAX_LIST_ID)]
Reason = Annotated[str, Field(max_length=MAX_REASON)]


class UnsubscribesQuery(PageQuery):
    """Of the list."""

    email: SearchText | None = None
    list_id: Annotated[str, Field(max_length=MAX_LIST_ID)] | None = None


class NewUnsubscribe(Body):
    """An address to suppress."""

    email: Address
    list_id: ListId | None = None
    reason: Reason | None = None


class NewUnsubscribes(Body):
    """Addresses to unsubscribe."""

    emails: Annotated[list[Address], Field(min_length=1, max_length=MAX_BATCH)]
    list_id: ListId | None = None
    reason: Reason | None = None


class Unsubscribe(TypedDict):
    """An address that gets no marketing."""

    id: str
    email: str
    list_id: str | None
    reason: str | None
    created_at: str


class Inserted(TypedDict):
    """How many addresses are new."""

    inserted: int


def unsubscribe_json(unsubscribe: model.Unsubscribe) -> Unsubscribe:
    """An address that gets no marketing."""
    return {
        "id": format_id(UNSUBSCRIBE_PREFIX, unsubscribe.id),
        "email": unsubscribe.email,
        "list_id": unsubscribe.list_id,
        "reason": unsubscribe.reason,
        "created_at": timestamp(unsubscribe.created_at),
    }
