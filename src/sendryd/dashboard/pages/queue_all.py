"""Pausing all mail, and letting it go on: an operator does, since it stops every account's."""

from typing import Final

from starlette.responses import Response

from sendryd.accounts.destinations import Destinations
from sendryd.dashboard.app import Page
from sendryd.dashboard.lengths import LENGTHS
from sendryd.dashboard.visit import Visit
from sendryd.policy.rights import Right
from sendryd.policy.routing import ANY_DOMAIN


async def pause(visit: Visit) -> Response:
    """`POST /queue/pause`: nothing more is sent to any destination; what comes in is accepted and waits."""
    if visit.fields.get("for", "") not in LENGTHS:
        return visit.show("missing.html", "missing", {}, status=404)
    name, length = visit.me.signed_in.person.name, LENGTHS[visit.fields.get("for", "")]
    await _destinations(visit).pause(ANY_DOMAIN, visit.author, name=name, length=length)
    return visit.go("/queue")


async def resume(visit: Visit) -> Response:
    """`POST /queue/resume`. Destinations that are paused on their own stay so."""
    await _destinations(visit).resume(ANY_DOMAIN, visit.author)
    return visit.go("/queue")


def _destinations(visit: Visit) -> Destinations:
    needs = visit.needs
    return Destinations(needs.store, needs.audit, clock=needs.clock, ids=needs.ids)


PAGES: Final = (
    Page(path="/queue/pause", post=pause, needs_to_change=Right.OPERATE),
    Page(path="/queue/resume", post=resume, needs_to_change=Right.OPERATE),
)
