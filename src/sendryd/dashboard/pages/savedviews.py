"""Keeping a search of the Emails page, and forgetting it."""

from contextlib import suppress
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from sendryd.accounts.errors import BadField
from sendryd.accounts.saved_views import MAX_QUERY
from sendryd.dashboard.app import Page
from sendryd.dashboard.savedsearch import may_remove, saved_views
from sendryd.dashboard.visit import Visit
from sendryd.model.ids import SAVED_VIEW_PREFIX, parse_id
from sendryd.policy.rights import Right
from sendryd.store.errors import Conflict, LimitReached, NotFound


async def keep(visit: Visit) -> Response:
    """`POST /emails/views`: a name for the search. A viewer keeps their own; sharing takes the right to work."""
    query, is_shared = visit.fields.get("q", ""), visit.fields.get("shared") == "yes"
    if is_shared and not visit.me.may(Right.WORK):
        return visit.show("missing.html", "missing", {}, status=403)
    person = visit.me.signed_in.person
    try:
        await saved_views(visit).add(visit.author, person.id, name=visit.fields.get("name", ""), query=query, is_shared=is_shared)
    except BadField as error:
        return _back(query, kept=error.field)
    except Conflict:
        return _back(query, kept="taken")
    except LimitReached:
        return _back(query, kept="full")
    return _back(query)


async def forget(visit: Visit) -> Response:
    """`POST /emails/views/{id}/remove`."""
    number = parse_id(visit.request.path_params["id"], SAVED_VIEW_PREFIX)
    views = await saved_views(visit).list(visit.author, visit.me.signed_in.person.id)
    view = next((each for each in views if each.id == number), None)
    if view is None:
        return visit.go("/emails")
    if not may_remove(visit, view):
        return visit.show("missing.html", "missing", {}, status=403)
    with suppress(NotFound):  # somebody else was faster
        await saved_views(visit).remove(visit.author, view)
    return _back(view.query)


def _back(query: str, **more: str) -> Response:
    query = query.strip()
    is_long = len(query) > MAX_QUERY  # no browser follows a header of any length
    return Visit.go(f"/emails?{urlencode({**({} if is_long else {'q': query}), **more})}")


PAGES: Final = (
    Page(path="/emails/views", post=keep, needs_to_change=Right.SEE),
    Page(path="/emails/views/{id}/remove", post=forget, needs_to_change=Right.SEE),
)
