"""Saved views as the Emails page shows them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from sendryd.accounts.saved_views import MAX_NAME, MAX_QUERY, MAX_VIEWS, SavedViews
from sendryd.dashboard.mailframe import Link
from sendryd.dashboard.visit import Visit
from sendryd.model.ids import SAVED_VIEW_PREFIX, format_id
from sendryd.model.savedview import SavedView
from sendryd.policy.rights import Right


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearches:
    """The views of a person, and what can be done with the search of the page."""

    links: tuple[Link, ...]
    may_keep: bool
    remove: str  # the path that forgets the view of this search; empty if it is none, or the person may not
    fault: str


FAULTS: Final = {
    "name": f"The view is not kept: its name has 1 to {MAX_NAME} characters.",
    "q": f"The view is not kept: it needs a search of 1 to {MAX_QUERY} characters.",
    "taken": "The view is not kept: there is one of this name. Choose another.",
    "full": f"The view is not kept: there are {MAX_VIEWS}, the most that are kept. Forget one first.",
}


async def read_saved(visit: Visit, text: str, *, known: Collection[str]) -> SavedSearches:
    """The saved views beside the search `text`. `known` are the searches that the page offers by itself."""
    views = await saved_views(visit).list(visit.author, visit.me.signed_in.person.id)
    here = next((each for each in views if each.query == text), None)
    return SavedSearches(
        links=tuple(Link(each.name, f"/emails?{urlencode({'q': each.query})}", is_here=each is here) for each in views),
        may_keep=bool(text) and here is None and text not in known,
        remove=f"/emails/views/{format_id(SAVED_VIEW_PREFIX, here.id)}/remove" if here and may_remove(visit, here) else "",
        fault=FAULTS.get(visit.query("kept"), ""),
    )


def saved_views(visit: Visit) -> SavedViews:
    """The operations on views."""
    return SavedViews(visit.needs.store, clock=visit.needs.clock, ids=visit.needs.ids)


def may_remove(visit: Visit, view: SavedView) -> bool:
    """Whether the person may forget it: their own, or a shared one with the right to work."""
    return view.person_id == visit.me.signed_in.person.id or (view.person_id is None and visit.me.may(Right.WORK))
