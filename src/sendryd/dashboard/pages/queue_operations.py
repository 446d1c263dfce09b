"""What else people do with waiting mail: return it, give it another class, suspend the account."""

from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from sendryd.accounts.destinations import DestinationChange, Destinations
from sendryd.accounts.suspensions import Suspensions
from sendryd.dashboard.app import Page
from sendryd.dashboard.lengths import LENGTHS
from sendryd.dashboard.visit import Visit
from sendryd.model.ids import AccountId
from sendryd.model.message import MessageClass
from sendryd.policy.rights import Right
from sendryd.smtp.address import AddressError, normalise_domain
from sendryd.store.base import QueueFilter

CLASSES: Final = {MessageClass.TRANSACTIONAL.value: "transactional", MessageClass.BULK.value: "bulk"}


async def give_back(visit: Visit) -> Response:
    """`POST /queue/{domain}/return`: the waiting mail of a destination is bounced, with the reason."""
    domain, reason = _domain(visit), visit.fields.get("reason", "")
    if domain is None or not reason.strip():
        return visit.show("missing.html", "missing", {}, status=404)
    number = await _destinations(visit).change(domain, DestinationChange.BOUNCE, visit.author, of=_whose(visit), reason=reason)
    return _back(visit, domain, urlencode({"did": DestinationChange.BOUNCE.value, "n": number}))


async def set_class(visit: Visit) -> Response:
    """`POST /queue/{domain}/class`: the waiting mail of a destination gets another class."""
    domain, word = _domain(visit), visit.fields.get("class", "")
    if domain is None or word not in CLASSES:
        return visit.show("missing.html", "missing", {}, status=404)
    which = QueueFilter(domain=domain, account_id=_whose(visit))
    number = await _destinations(visit).reprioritise(
        which, MessageClass(word), visit.author, target=domain, reason=visit.fields.get("reason", "")
    )
    return _back(visit, domain, urlencode({"did": f"class.{word}", "n": number}))


async def suspend(visit: Visit) -> Response:
    """`POST /queue/suspend`: the mail of the account waits."""
    if visit.fields.get("for", "") not in LENGTHS:
        return visit.show("missing.html", "missing", {}, status=404)
    name, length = visit.me.signed_in.person.name, LENGTHS[visit.fields.get("for", "")]
    await _suspensions(visit).suspend(visit.account_id, visit.author, name=name, length=length, reason=visit.fields.get("reason", ""))
    return visit.go("/queue")


async def end(visit: Visit) -> Response:
    """`POST /queue/unsuspend`: the mail of the account goes on."""
    await _suspensions(visit).resume(visit.account_id, visit.author)
    return visit.go("/queue")


def _whose(visit: Visit) -> AccountId | None:
    """Whose mail is changed: an operator changes every account's."""
    return None if visit.me.may(Right.OPERATE) else visit.account_id


def _domain(visit: Visit) -> str | None:
    try:
        return normalise_domain(visit.request.path_params["domain"])
    except AddressError:
        return None


def _back(visit: Visit, domain: str, told: str) -> Response:
    return visit.go(f"/queue/{quote(domain)}?{told}" if visit.fields.get("back") == "domain" else f"/queue?{told}")


def _destinations(visit: Visit) -> Destinations:
    needs = visit.needs
    return Destinations(needs.store, needs.audit, clock=needs.clock, ids=needs.ids)


def _suspensions(visit: Visit) -> Suspensions:
    needs = visit.needs
    return Suspensions(needs.store, needs.audit, clock=needs.clock)


PAGES: Final = (
    Page(path="/queue/suspend", post=suspend, needs_to_change=Right.ADMINISTER),
    Page(path="/queue/unsuspend", post=end, needs_to_change=Right.ADMINISTER),
    Page(path="/queue/{domain}/return", post=give_back, needs_to_change=Right.ADMINISTER),
    Page(path="/queue/{domain}/class", post=set_class, needs_to_change=Right.ADMINISTER),
)
