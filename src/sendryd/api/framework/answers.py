"""What answers of many operations have in common: pages of a list, errors. Answers are typed dictionaries, which are JSON as they stand. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NotRequired, TypeVar

from typing_extensions import TypedDict

from sendryd.model.moment import timestamp

Json = dict[str, Any]  # a document of no one shape; no handler answers with it


class HasId(TypedDict):
    """What a page can go on after."""

    id: str


Item = TypeVar("Item")
Row = TypeVar("Row", bound=HasId)


class Page(TypedDict, Generic[Item]):
    """A page of a list."""

    data: list[Item]
    has_more: bool
    next_cursor: str | None


class CountedPage(TypedDict, Generic[Item]):
    """A page of a list, with the list's length."""

    data: list[Item]
    has_more: bool
    next_cursor: str | None
    total: int


class MaybeCountedPage(TypedDict, Generic[Item]):
    """A page of a list, with the list's length if it was asked for."""

    data: list[Item]
    has_more: bool
    next_cursor: str | None
    total: int | None


class Whole(TypedDict, Generic[Item]):
    """A whole list."""

    data: list[Item]


class Deleted(TypedDict):
    """The resource is removed."""

    deleted: bool


class ErrorContent(TypedDict):
    """The code, the message and details of an error."""

    code: str
    message: str
    details: dict[str, object]
    retry_after: NotRequired[int]


class Error(TypedDict):
    """The answer to every request that fails. The keys beside `error` repeat it for older clients."""

    error: ErrorContent
    statusCode: int
    code: str
    message: str
    details: dict[str, object]


def timestamp_or_none(moment: datetime | None) -> str | None:
    """ISO 8601 timestamp, or None."""
    return None if moment is None else timestamp(moment)


def page(items: Sequence[Row], *, has_more: bool) -> Page[Row]:
    """A list. The cursor is the last row's id."""
    return {"data": list(items), "has_more": has_more, "next_cursor": _cursor(items, has_more=has_more)}


def counted_page(items: Sequence[Row], *, has_more: bool, total: int) -> CountedPage[Row]:
    """A page with the length of the list."""
    return {"data": list(items), "has_more": has_more, "next_cursor": _cursor(items, has_more=has_more), "total": total}


def maybe_counted_page(items: Sequence[Row], *, has_more: bool, total: int | None) -> MaybeCountedPage[Row]:
    """A page with the length of the list if the request asked for it."""
    return {"data": list(items), "has_more": has_more, "next_cursor": _cursor(items, has_more=has_more), "total": total}


def _cursor(items: Sequence[HasId], *, has_more: bool) -> str | None:
    return items[-1]["id"] if has_more else None


def error_json(status: int, code: str, message: str, details: Mapping[str, object] | None = None) -> Json:
    """The public error body: the nested object that the SDKs read, and the flat keys of the older pages beside it."""
    content = dict(details or {})
    return {
        "error": {"code": code, "message": message, "details": content},
        "statusCode": status,
        "code": code,
        "message": message,
        "details": content,
    }
