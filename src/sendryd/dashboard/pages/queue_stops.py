"""Stopping a site, an address or a pool, letting it go on, and ending what replies have brought. For operators: it concerns the mail of all accounts."""

from typing import Final

from starlette.responses import Response

from sendryd.accounts.destinations import Destinations
from sendryd.accounts.errors import BadField
from sendryd.accounts.suspensions import Suspensions
from sendryd.dashboard.app import Page
from sendryd.dashboard.lengths import LENGTHS
from sendryd.dashboard.visit import Visit
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId, parse_id
from sendryd.policy.rights import Right
from sendryd.store.base import EgressKind

MAX_NAME: Final = 300  # characters of a site: the first of its mail servers, and a mark
SITE: Final = "site"
DESTINATION: Final = "destination"  # a domain, a site, or all mail
ACCOUNT: Final = "account"
EGRESS: Final = frozenset(each.value for each in EgressKind)
PLACES: Final = {"health": "/health#health-engine", "queue": "/queue"}  # the page that a form was on


async def stop(visit: Visit) -> Response:
    """`POST /queue/stop`: nothing is sent to a site, or from an address or a pool, for a time or until somebody ends it."""
    fields = visit.fields
    kind, name, reason = fields.get("kind", ""), fields.get("name", "").strip(), fields.get("reason", "")
    if fields.get("for", "") not in LENGTHS or not name or len(name) > MAX_NAME:
        return _missing(visit)
    length = LENGTHS[fields.get("for", "")]
    if kind == SITE:
        person = visit.me.signed_in.person.name
        await _destinations(visit).pause(name.lower(), visit.author, name=person, length=length, reason=reason)
        return _back(visit)
    if kind not in EGRESS:
        return _missing(visit)
    try:
        await visit.needs.egress.suspend(EgressKind(kind), name, visit.author, length=length, reason=reason)
    except BadField:
        return _missing(visit)
    return _back(visit)


async def go_on(visit: Visit) -> Response:
    """`POST /queue/go-on`: what is stopped goes on, whoever has stopped it."""
    kind, name = visit.fields.get("kind", ""), visit.fields.get("name", "")
    if kind == DESTINATION:
        await _destinations(visit).resume(name, visit.author)
    elif kind == ACCOUNT:
        number = parse_id(name, ORGANIZATION_PREFIX)
        if number is None:
            return _missing(visit)
        needs = visit.needs
        await Suspensions(needs.store, needs.audit, clock=needs.clock).resume(AccountId(number), visit.author)
    elif kind in EGRESS:
        try:
            await visit.needs.egress.resume(EgressKind(kind), name, visit.author)
        except BadField:
            return _missing(visit)
    else:
        return _missing(visit)
    return _back(visit)


async def relax(visit: Visit) -> Response:
    """`POST /queue/relax`: what the replies of a site have brought to it by a rule is over."""
    await _destinations(visit).relax(visit.fields.get("site", ""), visit.fields.get("rule", ""), visit.author)
    return _back(visit)


def _destinations(visit: Visit) -> Destinations:
    needs = visit.needs
    return Destinations(needs.store, needs.audit, clock=needs.clock, ids=needs.ids)


def _back(visit: Visit) -> Response:
    return visit.go(PLACES.get(visit.fields.get("back", ""), PLACES["queue"]))


def _missing(visit: Visit) -> Response:
    return visit.show("missing.html", "missing", {}, status=404)


PAGES: Final = (
    Page(path="/queue/stop", post=stop, needs_to_change=Right.OPERATE),
    Page(path="/queue/go-on", post=go_on, needs_to_change=Right.OPERATE),
    Page(path="/queue/relax", post=relax, needs_to_change=Right.OPERATE),
)
