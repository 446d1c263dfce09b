"""The facts about a delivery that its row and its events hold, for the plain sentence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sendryd.model.apikey import KeyMode
from sendryd.model.delivery import DeliveryState, HoldReason
from sendryd.model.event import Event, EventType
from sendryd.model.ids import DeliveryId
from sendryd.model.lane import LaneSnapshot
from sendryd.model.suppression import Suppression
from sendryd.policy.address_key import normalise_address
from sendryd.policy.explain import Attempt, Complaint, Explanation, Facts, Hold, Lane, Suppressed, explain, nothing_reachable
from sendryd.policy.explain.reachability import LATELY
from sendryd.policy.replies.verdict import Category
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.smarthost import domain_of, lane_of, paused_reply
from sendryd.store.base import PausedDestination, QueuedDelivery, Store

_OUTCOMES: Final = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.DELIVERED, EventType.FAILED})
_ENDINGS: Final = frozenset({EventType.BOUNCED, EventType.FAILED, EventType.CANCELLED, EventType.SUPPRESSED})
_CAUSES: Final[Mapping[str, str]] = {
    "hard_bounce": "a hard bounce",
    "complaint": "a complaint",
    "unsubscribe": "unsubscribing",
    "manual": "an entry by hand",
}


MAX_LANES: Final = 100  # the latest, which tell whether any server can be reached
MAX_AHEAD: Final = 10_000  # counted
MAX_COUNTED: Final = 20  # deliveries of a message of which those before them are counted, or the entry that suppresses them is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known beside a delivery itself."""

    paused: tuple[PausedDestination, ...] = ()
    lanes: Mapping[str, LaneSnapshot] = field(default_factory=dict)  # by next hop
    ahead: Mapping[DeliveryId, int] = field(default_factory=dict)  # deliveries that are due earlier, by delivery
    suppressed: frozenset[DeliveryId] = frozenset()  # bounced deliveries to addresses that are suppressed now
    entries: Mapping[DeliveryId, Suppression] = field(default_factory=dict)  # of skipped deliveries
    nothing_reachable: bool = False

    def site(self, domain: str) -> str:
        """The site that a domain shares with others; empty if it is not known."""
        lane = self.lane(domain)
        return lane.site if lane is not None else ""

    def lane(self, domain: str) -> LaneSnapshot | None:
        """The lane of a domain, or the smart host's."""
        return self.lanes.get(domain) or self.lanes.get(ANY_DOMAIN)


async def read_surroundings(store: Store, domains: Iterable[str], now: datetime, *, of: Sequence[QueuedDelivery] = ()) -> Surroundings:
    """What is known of these destinations. `of` are the deliveries of one message that are explained."""
    waiting = [each for each in of if each.state is DeliveryState.QUEUED and each.due_at <= now][:MAX_COUNTED]
    return Surroundings(
        paused=tuple(each for each in await store.list_paused_destinations() if not each.is_over(now)),
        lanes={each.next_hop: each for each in await store.find_lanes([*domains, ANY_DOMAIN])},
        ahead={each.id: await store.count_ahead(each.domain, each.due_at, most=MAX_AHEAD) for each in waiting},
        suppressed=await _find_suppressed(store, of),
        entries=await _find_entries(store, of),
        nothing_reachable=nothing_reachable(await store.list_lanes(since=now - LATELY, limit=MAX_LANES), now),
    )


async def _find_suppressed(store: Store, deliveries: Sequence[QueuedDelivery]) -> frozenset[DeliveryId]:
    """Bounced deliveries to addresses that are suppressed now."""
    bounced = [each for each in deliveries if each.state is DeliveryState.BOUNCED]
    if not bounced:
        return frozenset()
    paths = sorted({normalise_address(each.forward_path) for each in bounced})
    found = await store.find_suppressed(bounced[0].message.account_id, paths)
    return frozenset(each.id for each in bounced if normalise_address(each.forward_path) in found)


async def _find_entries(store: Store, deliveries: Sequence[QueuedDelivery]) -> dict[DeliveryId, Suppression]:
    """The suppression entries of skipped deliveries. An entry has the cause and the date; the event has neither."""
    skipped = [each for each in deliveries if each.state is DeliveryState.SUPPRESSED][:MAX_COUNTED]
    found = {each.id: await store.get_suppression(each.message.account_id, normalise_address(each.forward_path)) for each in skipped}
    return {number: entry for number, entry in found.items() if entry is not None}


def explain_delivery(
    delivery: QueuedDelivery,
    events: Iterable[Event],
    now: datetime,
    *,
    lifetime: timedelta,
    around: Surroundings | None = None,
) -> Explanation:
    """What happens to a delivery and why.

    `events` are its message's, in any order; those of other recipients are left out. `lifetime` is how long the queue keeps mail.
    """
    return explain(facts_of(delivery, events, now, lifetime=lifetime, around=around))


def facts_of(
    delivery: QueuedDelivery,
    events: Iterable[Event],
    now: datetime,
    *,
    lifetime: timedelta,
    around: Surroundings | None = None,
) -> Facts:
    """The facts of a delivery that are stored."""
    around = around or Surroundings()
    message = delivery.message
    own = sorted((each for each in events if each.delivery_id == delivery.id), key=lambda each: each.id)
    latest = {each.type: each for each in own}
    delivered, complained = latest.get(EventType.DELIVERED), latest.get(EventType.COMPLAINED)
    outcomes = [each for each in own if each.type in _OUTCOMES and "category" in each.metadata]
    endings = [each for each in own if each.type in _ENDINGS]
    recipient_domain = delivery.forward_path.rpartition("@")[2].lower()
    return Facts(
        recipient=delivery.forward_path,
        domain=recipient_domain,
        sender_domain=message.author.rpartition("@")[2].rstrip("> ").lower(),
        state=delivery.state,
        now=now,
        due_at=delivery.due_at,
        attempts=delivery.attempts,
        scheduled_at=message.scheduled_at,
        expires_at=message.waits_since + lifetime,
        accepted_at=message.created_at,
        delivered_at=delivered.created_at if delivered else None,
        ended_at=endings[-1].created_at if endings else None,
        last=_attempt(outcomes, by_smarthost=bool(lane_of(delivery.domain))) if outcomes else None,
        hold=_hold(delivery) if delivery.state is DeliveryState.HELD else None,
        lane=_lane(delivery, around),
        nothing_reachable=around.nothing_reachable,
        suppressed=_suppressed(
            latest.get(EventType.SUPPRESSED), endings if delivery.id in around.suppressed else [], around.entries.get(delivery.id)
        ),
        complaint=Complaint(at=complained.created_at) if complained else None,
        size=message.size,
        is_captured=message.mode is KeyMode.TEST,
    )


def _lane(delivery: QueuedDelivery, around: Surroundings) -> Lane:
    known = around.lane(delivery.domain)
    recipient_domain = domain_of(delivery.forward_path, None)
    names = {delivery.domain, recipient_domain, known.site if known else "", ANY_DOMAIN}
    pause = next((each for each in around.paused if each.domain in names or delivery.last_reply == paused_reply(each.domain)), None)
    return Lane(
        ahead=around.ahead.get(delivery.id, 0),
        per_minute=known.per_minute if known else 0,
        paused_by=pause.by if pause else "",
        paused_until=pause.until if pause else None,
        paused_why=pause.reason if pause else "",
        paused_site=pause.domain if pause and pause.domain not in {delivery.domain, recipient_domain, ANY_DOMAIN} else "",
        is_all_paused=pause is not None and pause.domain == ANY_DOMAIN,
        host=known.servers[0].host if known and known.sending and known.servers else "",
        suspended_until=known.suspended_until if known else None,
        smart_host=lane_of(delivery.domain).partition("~")[0] or (known.servers[0].host if known and known.next_hop == ANY_DOMAIN else ""),
        rule=known.rule if known else "",
        rule_until=known.rule_until if known else None,
        rule_reply=known.rule_reply if known else "",
    )


def _attempt(outcomes: list[Event], *, by_smarthost: bool) -> Attempt:
    """The last attempt that said why. An expired delivery's cause is the one before."""
    last = outcomes[-1]
    found = last.metadata
    if found["category"] == Category.EXPIRED and len(outcomes) > 1:
        found = outcomes[-2].metadata
    return Attempt(
        category=Category(_text(found, "category")),
        at=last.created_at,
        reply=_text(found, "reply") or _text(found, "reason"),
        enhanced=_text(found, "enhanced_code"),
        host=_text(found, "host"),
        address=_text(found, "address"),
        tried=_texts(found, "tried"),
        policy=_text(found, "tls_security") if found.get("policy_unmet") is True else "",
        by_smarthost=by_smarthost,
        waits=found.get("waits") is True,
        was_returned=found.get("returned") is True,
        is_in_doubt=found.get("possibly_duplicate") is True,
    )


def _hold(delivery: QueuedDelivery) -> Hold:
    reason = delivery.hold_reason or HoldReason.OPERATOR
    damaged = reason in {HoldReason.CONTENT_DAMAGED, HoldReason.SIGNING_KEY_DAMAGED}
    if (held := delivery.held_by) is not None and reason is HoldReason.OPERATOR:
        return Hold(reason=reason, by=held.by, since=held.since, note=held.why)
    return Hold(reason=reason, note=delivery.last_reply.removeprefix("Held: ") if damaged else "", crashes=delivery.crashes)


def _suppressed(event: Event | None, bounces: Sequence[Event], entry: Suppression | None) -> Suppressed | None:
    if event is None:
        return Suppressed(since=bounces[-1].created_at, cause=_CAUSES["hard_bounce"]) if bounces else None
    reason = _text(event.metadata, "reason")
    if reason in _CAUSES:
        return Suppressed(since=event.created_at, cause=_CAUSES[reason])
    if entry is not None and entry.created_at <= event.created_at:  # a later entry is not why this mail was skipped
        return Suppressed(since=entry.created_at, cause=_CAUSES[entry.reason.value])
    return Suppressed(since=event.created_at, cause="an entry in the list")


def _text(metadata: Mapping[str, object], name: str) -> str:
    value = metadata.get(name)
    return value if isinstance(value, str) else ""


def _texts(metadata: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = metadata.get(name)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
