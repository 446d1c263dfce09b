"""Queue: waiting mail by destination, with its cause; and the mails of one destination."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from sendryd.accounts.bulk import Order
from sendryd.accounts.destinations import DestinationChange, Destinations
from sendryd.accounts.errors import BadField
from sendryd.accounts.explanations import Surroundings, explain_delivery, read_surroundings
from sendryd.dashboard.app import Page, Show
from sendryd.dashboard.laneview import LaneView, hand_view, lane_view, limit_views
from sendryd.dashboard.lengths import LENGTHS
from sendryd.dashboard.live import Source
from sendryd.dashboard.pages import bulk
from sendryd.dashboard.snippets import schedule
from sendryd.dashboard.statuses import SHAPES, StatusView, status_of_delivery
from sendryd.dashboard.stopsview import egress_views, quiet_row, stop_views
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.bulk import BulkChange, Selection
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DomainStatus
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, AccountId, DeliveryId, format_id, parse_id
from sendryd.model.lane import LaneSnapshot
from sendryd.model.moment import timestamp
from sendryd.policy.explain import Explanation, Tone
from sendryd.policy.explain.words import clock, count, receiver, span
from sendryd.policy.rights import Right
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.smarthost import parse_destination
from sendryd.policy.throttle import MX_MAX
from sendryd.smtp.address import AddressError
from sendryd.store.base import EventFilter, PausedDestination, QueuedDelivery, QueueFilter, WaitingDestination

MOST: Final = 50  # destinations on the page
PAGE: Final = 50  # mails of a destination on a page
MAX_EVENTS: Final = 1000  # of a message, to explain one delivery
MAX_DIGITS: Final = 9
MOST_LIMITS: Final = 20  # lines of the history
MOST_LANES: Final = 100  # the latest: among them is the last success
LATELY: Final = timedelta(days=1)  # what left before says nothing about now
AT_ONCE: Final = 1000  # mails that are changed while the browser waits; more become a job with a page of its own
PARTS: Final = {"queue-heading": "queue_heading.html", "queue-all": "queue_all.html", "queue-rows": "queue_rows.html"}
DOMAIN_PARTS: Final = {"queue-of-domain": "queue_domain_inside.html"}

_BULK: Final = {
    DestinationChange.TRY_NOW: BulkChange.TRY,
    DestinationChange.HOLD: BulkChange.HOLD,
    DestinationChange.RELEASE: BulkChange.RELEASE,
    DestinationChange.CANCEL: BulkChange.CANCEL,
}
WORDS: Final[Mapping[Tone, str]] = {
    Tone.OK: "Delivered",
    Tone.GO: "Under way",
    Tone.SLOW: "Put off",
    Tone.BAD: "Needs you",
    Tone.HOLD: "Stopped",
    Tone.ABUSE: "Complaint",
    Tone.OFF: "Not sent",
}
DID: Final[Mapping[str, str]] = {
    DestinationChange.TRY_NOW.value: "due now",
    DestinationChange.HOLD.value: "held",
    DestinationChange.RELEASE.value: "released",
    DestinationChange.CANCEL.value: "cancelled",
    DestinationChange.BOUNCE.value: "returned",
    "class.bulk": "in the class bulk now",
    "class.transactional": "in the class transactional now",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRow:
    """A destination as the page shows it."""

    domain: str
    name: str
    path: str
    status: StatusView
    sentence: str
    advice: str
    reply: str
    queued: int
    leased: int
    held: int
    since: str
    waits: str  # `14 min`
    next_stamp: str
    next_text: str
    mails: str  # `1,204 mails`: what cancelling ends
    paused_by: str  # empty if it is not paused
    paused_until: Moment | None
    lane: LaneView | None  # None: the delivery engine knows nothing of it


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRow:
    """A delivery as the page of its destination shows it."""

    id: str  # of the message
    path: str
    recipient: str
    subject: str
    status: StatusView
    since: str
    waits: str
    next_stamp: str
    next_text: str
    attempts: int
    sentence: str


async def show(visit: Visit) -> Response:
    """`GET /queue`."""
    values = await _read(visit)
    return visit.show("queue.html", "queue", {**values, "told": _told(visit), "lines": "" if values["rows"] else await _lines(visit)})


async def _lines(visit: Visit) -> str:
    """Lines to paste that make a mail wait; empty without a verified domain."""
    domains = await visit.needs.store.list_domains(visit.account_id)
    domain = next((each.name for each in domains if each.status is DomainStatus.VERIFIED), "")
    return schedule(visit.place(domain, visit.me.signed_in.person.email)) if domain else ""


async def _read(visit: Visit) -> Mapping[str, object]:
    store, now = visit.needs.store, visit.needs.clock.now()
    found = await store.list_waiting_destinations(_whose(visit), limit=MOST + 1)
    named = {each.domain for each in found}
    around = await read_surroundings(store, named, now)
    return {
        "rows": [await _destination(visit, each, now, around) for each in found[:MOST]],
        "quiet": [quiet_row(each, now) for each in around.paused if each.domain not in {*named, ANY_DOMAIN}],
        "pause_of_all": next((quiet_row(each, now) for each in around.paused if each.domain == ANY_DOMAIN), None),
        "stops": stop_views(await store.list_suspended_accounts(), visit.account_id, now, sees_everything=visit.me.may(Right.OPERATE)),
        "has_more": len(found) > MOST,
        "last_left": "" if found else await _last_left(visit, now),
        "heading": _heading(found),
        "suspended": egress_views(await store.list_egress_suspensions(), now),
    }


async def _last_left(visit: Visit, now: datetime) -> str:
    """`3 s`: how long ago a mail server took the last mail. Empty without one lately."""
    lanes = await visit.needs.store.list_lanes(since=now - LATELY, limit=MOST_LANES)
    last = max((each.last_success for each in lanes if each.last_success), default=None)
    return span(now - last) if last is not None and last >= now - LATELY else ""


async def show_domain(visit: Visit) -> Response:
    """`GET /queue/{domain}`."""
    domain = _domain(visit)
    if domain is None:
        return visit.show("missing.html", "missing", {}, status=404)
    return visit.show("queue_domain.html", "queue-domain", {**await _read_domain(visit), "told": _told(visit)})


async def _read_domain(visit: Visit) -> Mapping[str, object]:
    domain = _domain(visit) or ""
    number = parse_id(visit.query("before"), DELIVERY_PREFIX)
    before = DeliveryId(number) if number is not None else None
    store, now = visit.needs.store, visit.needs.clock.now()
    around = await read_surroundings(store, [domain], now)
    waiting = await store.list_waiting_destinations(_whose(visit), limit=1, domain=domain)
    mails = await store.page_destination(domain, _whose(visit), limit=PAGE, before=before)
    lane = around.lane(domain)
    hand = [each for each in await store.list_limited_destinations() if each.domain == domain and not each.is_over(now)]
    pause = next((each for each in around.paused if each.domain == domain), None)
    return {
        "domain": domain,
        "path": f"/queue/{quote(domain)}",
        "row": await _destination(visit, waiting[0], now, around) if waiting else None,
        "paused_by": pause.by if pause else "",
        "paused_until": _until(pause) if pause else None,
        "lane": _lane(visit, lane, now),
        "hand": hand_view(hand[0]) if hand else None,
        "limits": limit_views(await store.list_limit_changes(lane.next_hop, limit=MOST_LIMITS)) if lane else (),
        "most_sessions": MX_MAX,
        "wrong": "",
        "typed": "",
        "mails": [await _mail(visit, each, now, around) for each in mails.items],
        "older": f"/queue/{quote(domain)}?before={format_id(DELIVERY_PREFIX, mails.items[-1].id)}" if mails.has_more else "",
    }


# The changes.


def _destinations(visit: Visit) -> Destinations:
    needs = visit.needs
    return Destinations(needs.store, needs.audit, clock=needs.clock, ids=needs.ids)


def _back(visit: Visit, domain: str, told: str) -> Response:
    """The page that the form was on."""
    return visit.go(f"/queue/{quote(domain)}?{told}" if visit.fields.get("back") == "domain" else f"/queue?{told}")


def _changing(change: DestinationChange) -> Show:
    """Changes all waiting mail of a destination."""

    async def handle(visit: Visit) -> Response:
        domain = _domain(visit)
        if domain is None:
            return visit.show("missing.html", "missing", {}, status=404)
        reason = visit.fields.get("reason", "")
        waiting = await visit.needs.store.list_waiting_destinations(_whose(visit), limit=1, domain=domain)
        if waiting and waiting[0].queued + waiting[0].held > AT_ONCE:
            chosen = Selection(domain=domain, is_of_all_accounts=_whose(visit) is None)
            return await bulk.start(visit, Order(change=_BULK[change], selection=chosen, reason=reason, is_agreed=True))
        number = await _destinations(visit).change(domain, change, visit.author, of=_whose(visit), reason=reason)
        return _back(visit, domain, urlencode({"did": change.value, "n": number}))

    return handle


async def pause(visit: Visit) -> Response:
    """`POST /queue/{domain}/pause`."""
    domain = _domain(visit)
    if domain is None:
        return visit.show("missing.html", "missing", {}, status=404)
    if visit.fields.get("for", "") not in LENGTHS:
        return visit.show("missing.html", "missing", {}, status=404)
    length = LENGTHS[visit.fields.get("for", "")]
    await _destinations(visit).pause(
        domain, visit.author, name=visit.me.signed_in.person.name, length=length, reason=visit.fields.get("reason", "")
    )
    return _back(visit, domain, "")


async def limit(visit: Visit) -> Response:
    """`POST /queue/{domain}/limit`: fewer sessions at once than the destination takes, for a time; without a number, the limit is lifted."""
    domain, fields = _domain(visit), visit.fields
    if domain is None or fields.get("for", "") not in LENGTHS:
        return visit.show("missing.html", "missing", {}, status=404)
    if "sessions" not in fields:
        await _destinations(visit).lift_limit(domain, visit.author)
        return visit.go(f"/queue/{quote(domain)}")
    number = fields["sessions"].strip()
    name, sessions = (
        visit.me.signed_in.person.name,
        int(number) if number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS else 0,
    )
    try:
        await _destinations(visit).limit(domain, visit.author, name=name, sessions=sessions, length=LENGTHS[fields.get("for", "")])
    except BadField as error:
        values = {**await _read_domain(visit), "told": "", "wrong": str(error), "typed": number}
        return visit.show("queue_domain.html", "queue-domain", values, status=422)
    return visit.go(f"/queue/{quote(domain)}")


async def resume(visit: Visit) -> Response:
    """`POST /queue/{domain}/resume`."""
    domain = _domain(visit)
    if domain is None:
        return visit.show("missing.html", "missing", {}, status=404)
    await _destinations(visit).resume(domain, visit.author)
    return _back(visit, domain, "")


# What is shown.


def _whose(visit: Visit) -> AccountId | None:
    """Whose mail is shown: an operator sees every account's."""
    return None if visit.me.may(Right.OPERATE) else visit.account_id


def _domain(visit: Visit) -> str | None:
    try:
        return parse_destination(visit.request.path_params["domain"])
    except AddressError:
        return None


def _heading(found: list[WaitingDestination]) -> str:
    if not found:
        return "Nothing waits"
    if len(found) > MOST:
        return f"Mail waits for more than {MOST} destinations"
    return f"Mail waits for {count(len(found), 'destination', 'destinations')}"


def _told(visit: Visit) -> str:
    """What the change before has done."""
    word, number = DID.get(visit.query("did")), visit.query("n")
    if word is None or not number.isascii() or not number.isdecimal() or len(number) > MAX_DIGITS:
        return ""
    return f"{count(int(number), 'mail is', 'mails are')} {word}."


async def _explain(visit: Visit, delivery: QueuedDelivery, now: datetime, around: Surroundings) -> Explanation:
    message = delivery.message
    which = EventFilter(mode=message.mode, message_id=message.id)
    events = await visit.needs.store.list_events(message.account_id, which, limit=MAX_EVENTS)
    return explain_delivery(delivery, events.items, now, lifetime=visit.needs.queue_lifetime, around=around)


async def _destination(visit: Visit, found: WaitingDestination, now: datetime, around: Surroundings) -> DestinationRow:
    sample = await visit.needs.store.list_queue(QueueFilter(delivery_id=found.sample), limit=1)
    words = await _explain(visit, sample[0], now, around) if sample else Explanation(Tone.BAD, "The row of its oldest mail cannot be read.")
    pause = next((each for each in around.paused if each.domain == found.domain), None)
    return DestinationRow(
        domain=found.domain,
        name=receiver(found.domain),
        path=f"/queue/{quote(found.domain)}",
        status=_status(words.tone),
        sentence=words.sentence,
        advice=words.advice,
        reply=found.last_reply,
        queued=found.queued,
        leased=found.leased,
        held=found.held,
        since=timestamp(found.since),
        waits=span(now - found.since),
        next_stamp=timestamp(found.next_due) if found.next_due else "",
        next_text=_when(found.next_due, now),
        mails=count(found.queued + found.held, "mail", "mails"),
        paused_by=pause.by if pause else "",
        paused_until=_until(pause) if pause else None,
        lane=_lane(visit, around.lane(found.domain), now),
    )


async def _mail(visit: Visit, delivery: QueuedDelivery, now: datetime, around: Surroundings) -> MailRow:
    message = delivery.message
    is_queued = delivery.state is DeliveryState.QUEUED
    words = await _explain(visit, delivery, now, around)
    public_id = format_id(MESSAGE_PREFIX, message.id)
    return MailRow(
        id=public_id,
        path=f"/emails/{public_id}",
        recipient=delivery.forward_path,
        subject=message.subject or "(no subject)",
        status=status_of_delivery(
            delivery.state, attempts=delivery.attempts, is_complained=False, scheduled_at=message.scheduled_at, now=now
        ),
        since=timestamp(delivery.created_at),
        waits=span(now - delivery.created_at),
        next_stamp=timestamp(delivery.due_at) if is_queued else "",
        next_text=_when(delivery.due_at, now) if is_queued else "",
        attempts=delivery.attempts,
        sentence=words.sentence,
    )


def _until(pause: PausedDestination) -> Moment | None:
    return moment_of(pause.until) if pause.until else None


def _lane(visit: Visit, lane: LaneSnapshot | None, now: datetime) -> LaneView | None:
    return lane_view(lane, now, has_words=visit.me.may(Right.OPERATE)) if lane else None


def _status(tone: Tone) -> StatusView:
    return StatusView("", WORDS[tone], tone.value, SHAPES[tone])


def _when(due: datetime | None, now: datetime) -> str:
    if due is None:
        return ""
    return "now" if due <= now else clock(due, now)


# A pause and a limit hold for the mail of every account; the other changes are made to the mail that the person sees.
PAGES: Final = (
    Page(path="/queue", get=show, live=Source(page="queue", read=_read, parts=PARTS)),
    Page(path="/queue/{domain}", get=show_domain, live=Source(page="queue-domain", read=_read_domain, parts=DOMAIN_PARTS)),
    Page(path="/queue/{domain}/try", post=_changing(DestinationChange.TRY_NOW)),
    Page(path="/queue/{domain}/hold", post=_changing(DestinationChange.HOLD), needs_to_change=Right.ADMINISTER),
    Page(path="/queue/{domain}/release", post=_changing(DestinationChange.RELEASE), needs_to_change=Right.ADMINISTER),
    Page(path="/queue/{domain}/cancel", post=_changing(DestinationChange.CANCEL)),
    Page(path="/queue/{domain}/pause", post=pause, needs_to_change=Right.OPERATE),
    Page(path="/queue/{domain}/limit", post=limit, needs_to_change=Right.OPERATE),
    Page(path="/queue/{domain}/resume", post=resume, needs_to_change=Right.OPERATE),
)
