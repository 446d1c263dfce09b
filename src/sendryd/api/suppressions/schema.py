"""Suppressions as requests, answers and CSV have them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from sendryd.accounts.suppressions import MAX_IMPORT
from sendryd.api.framework.addresses import Address
from sendryd.api.framework.answers import Page
from sendryd.api.framework.bodies import Body, Query, SearchQuery, SearchText
from sendryd.model import suppression as model
from sendryd.model.ids import SUPPRESSION_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.model.suppression import SuppressionReason

REASON_WORDS: Final[Mapping[str, SuppressionReason]] = {reason.value: reason for reason in SuppressionReason}
COLUMNS: Final = ("email", "reason", "created_at")  # of the CSV

Reason = Literal["hard_bounce", "complaint", "unsubscribe", "manual"]


class SuppressionsQuery(SearchQuery):
    """Of the list."""

    reason: str | None = None


class ExportQuery(Query):
    """The same without pages."""

    q: SearchText | None = None
    reason: str | None = None


class NewSuppression(Body):
    """An address to suppress."""

    email: Address
    reason: Reason | None = None


class ImportEntry(Body):
    """An address with its reason."""

    email: str
    reason: Reason | None = None


class Import(Body):
    """Addresses to suppress, with one reason or a reason each."""

    emails: Annotated[list[str], Field(max_length=MAX_IMPORT)] | None = None
    suppressions: Annotated[list[ImportEntry], Field(max_length=MAX_IMPORT)] | None = None
    reason: Annotated[Reason | None, Field(description="The reason of addresses without one of their own; `manual` by default.")] = None


class Suppression(TypedDict):
    """An address that gets no mail."""

    email: str
    reason: str
    created_at: str


class ImportedSuppressions(TypedDict):
    """How many addresses an import had, and how many were new."""

    inserted: int
    total: int


def suppression_json(suppression: model.Suppression) -> Suppression:
    """An address that gets no mail."""
    return {"email": suppression.email, "reason": suppression.reason.value, "created_at": timestamp(suppression.created_at)}


def suppressions_page(found: Sequence[model.Suppression], *, has_more: bool) -> Page[Suppression]:
    """A page of the list. Only its cursor has the id of a suppression: rows are named by their address."""
    return {
        "data": [suppression_json(each) for each in found],
        "has_more": has_more,
        "next_cursor": format_id(SUPPRESSION_PREFIX, found[-1].id) if has_more else None,
    }


def csv_row(suppression: model.Suppression) -> tuple[str, str, str]:
    """The cells of `COLUMNS`."""
    return suppression.email, suppression.reason.value, timestamp(suppression.created_at)
