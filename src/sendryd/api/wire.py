"""The only JSON shapes of the API: model values in, plain data out."""

from collections.abc import Sequence

from sendryd.api.framework.answers import Json


def page(items: Sequence[Json], *, has_more: bool, total: int | None = None, has_total: bool = False) -> Json:
    """A list. The cursor is the last row's id."""
    body: Json = {"data": list(items), "has_more": has_more, "next_cursor": items[-1]["id"] if has_more else None}
    if has_total:
        body["total"] = total
    return body
