"""Changes that people make to all waiting mail of one destination, or to the deliveries of a filter. Each change is in the audit."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sendryd.accounts.audit import Audit, By
from sendryd.accounts.emails import shorten_reason
from sendryd.accounts.errors import BadField
from sendryd.model.delivery import WAITING_STATES
from sendryd.model.event import EventType, Metadata
from sendryd.model.ids import AccountId, EventId
from sendryd.model.message import MessageClass
from sendryd.model.moment import timestamp
from sendryd.policy.detour import OPERATOR, SMART_HOST, DetourHost, pool_detour
from sendryd.policy.replies.verdict import SOFT, Category
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.policy.smarthost import FORM, parse_smart_host, smart_host_lane, write_smart_host
from sendryd.policy.throttle import MX_MAX
from sendryd.runtime.clock import Clock
from sendryd.runtime.idsource import IdSource
from sendryd.store.base import HeldBy, LimitedDestination, NewEvent, QueueFilter, Store

AT_ONCE: Final = 1000  # deliveries of a filter: their ids are one parameter of a statement
RETURNED: Final = "5.7.1"  # RFC 3463 §3.8: not delivered by a decision, not by a fault


class DestinationChange(StrEnum):
    """The value is the action in the audit."""

    TRY_NOW = "queue.tried"
    HOLD = "queue.held"
    RELEASE = "queue.released"
    CANCEL = "queue.cancelled"
    BOUNCE = "queue.bounced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where waiting mail is sent. Neither: by the settings of its sending domain."""

    pool: str = ""  # an address pool that the setting has
    smart_host: str = field(default="", repr=False)  # a URL, which may have a password


_EXPLAINED: Final = frozenset({DestinationChange.HOLD, DestinationChange.BOUNCE})  # their reason is asked for


class Destinations:
    """Changes of the waiting mail of a recipient domain. The caller has checked the right to make them."""

    def __init__(self, store: Store, audit: Audit, *, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._ids = ids

    async def change(self, domain: str, change: DestinationChange, by: By, *, of: AccountId | None, reason: str = "") -> int:
        """Changes the deliveries of an account, or of all, that are in a state that allows it, and returns their number. Those under way are
        left alone. `reason` says why they are held or returned.
        """
        which = QueueFilter(domain=domain, states=WAITING_STATES, account_id=of)
        return await self.change_chosen(which, change, by, target=domain, reason=reason if change in _EXPLAINED else "")

    async def change_chosen(
        self, which: QueueFilter, change: DestinationChange, by: By, *, target: str, action: str = "", reason: str = ""
    ) -> int:
        """Changes the waiting deliveries of a filter that are in a state that allows it, and returns their number.

        `target`, `action` (by default the change's) and `reason` are what the audit says; the reason of a hold is also shown with the mail.
        """
        reason = shorten_reason(reason)
        number = await self._work(change, by, which, reason)
        if number:
            after = {"deliveries": number, **_why(reason)}
            await self._audit.add(by.account_id, by.actor, by.client, action or change.value, target, after=after)
        return number

    async def reprioritise(self, which: QueueFilter, priority: MessageClass, by: By, *, target: str, reason: str = "") -> int:
        """Gives the waiting deliveries of a filter another class, which decides whose turn it is, and returns their number. Raises `BadField` for
        the class of one-time passwords: mail of that class expires after half an hour.
        """
        if priority is MessageClass.OTP:
            raise BadField("class", "Choose transactional or bulk: mail of the class otp expires after half an hour.")
        number = await self._store.set_class(which, priority)
        if number:
            after = {"deliveries": number, "class": priority.value, **_why(shorten_reason(reason))}
            await self._audit.add(by.account_id, by.actor, by.client, "queue.reprioritised", target, after=after)
        return number

    async def reroute(self, which: QueueFilter, way: "Way", by: By, *, target: str, reason: str = "") -> int:
        """Sends the waiting deliveries of a filter another way, or by that of their sending domains again; those that are queued are due now. Returns how
        many have another way now. A smart host given here may be at a private address: the caller is an operator. Raises `BadField`.
        """
        detour, lane, shown = None, None, "their domains"
        if way.smart_host:
            host = _detour_host(way.smart_host)
            await self._store.put_detour_host(host, self._clock.now())
            detour, lane, shown = SMART_HOST, host.lane, host.url
        elif way.pool:
            detour, shown = pool_detour(way.pool), f"pool {way.pool}"
        moved = await self._store.set_detour(which, detour, lane)
        for start in range(0, len(moved), AT_ONCE):
            await self._store.retry(QueueFilter(delivery_ids=tuple(moved[start : start + AT_ONCE])), self._clock.now())
        if moved:
            after = {"deliveries": len(moved), "way": shown, **_why(shorten_reason(reason))}
            await self._audit.add(by.account_id, by.actor, by.client, "queue.rerouted", target, after=after)
        return len(moved)

    async def pause(self, domain: str, by: By, *, name: str, length: timedelta | None = None, reason: str = "") -> bool:
        """Stop all mail to a domain, or to all of them for `ANY_DOMAIN`, of every account, also what comes in later; for a time, or until it is
        resumed. `name` is the person's. False if it is paused already.
        """
        now = self._clock.now()
        until = now + length if length is not None else None
        reason = shorten_reason(reason)
        is_new = await self._store.pause_destination(domain, by=name, now=now, until=until, reason=reason)
        if is_new:
            await self._audit.add(
                by.account_id, by.actor, by.client, "queue.paused", _target(domain), after={**_ends(until), **_why(reason)}
            )
        return is_new

    async def limit(self, domain: str, by: By, *, name: str, sessions: int, length: timedelta | None = None) -> None:
        """Allow at most `sessions` at once with a domain, for the mail of every account; for a time, or until the limit is lifted. Fewer
        are used where the destination takes fewer. Raises `BadField`.
        """
        if not 1 <= sessions <= MX_MAX:
            raise BadField("sessions", f"Enter a number from 1 to {MX_MAX}.")
        now = self._clock.now()
        until = now + length if length is not None else None
        await self._store.limit_destination(LimitedDestination(domain=domain, sessions=sessions, by=name, since=now, until=until))
        await self._audit.add(by.account_id, by.actor, by.client, "queue.limited", domain, after={"sessions": sessions, **_ends(until)})

    async def lift_limit(self, domain: str, by: By) -> bool:
        """Lift the limit that a person has set. False if there is none."""
        is_over = await self._store.lift_limit(domain)
        if is_over:
            await self._audit.add(by.account_id, by.actor, by.client, "queue.limit_lifted", domain)
        return is_over

    async def resume(self, domain: str, by: By) -> bool:
        """Let mail to a domain go on. False if it is not paused."""
        is_over = await self._store.resume_destination(domain)
        if is_over:
            await self._audit.add(by.account_id, by.actor, by.client, "queue.resumed", _target(domain))
        return is_over

    async def relax(self, site: str, rule: str, by: By, *, reason: str = "") -> bool:
        """End what the replies of a site have brought to it by a shaping rule, a suspension or a limit. False if they have brought nothing by it."""
        is_over = await self._store.end_shaping_effect(site, rule, self._clock.now())
        if is_over:
            after = {"rule": rule, **_why(shorten_reason(reason))}
            await self._audit.add(by.account_id, by.actor, by.client, "site.relaxed", site, after=after)
        return is_over

    async def _work(self, change: DestinationChange, by: By, which: QueueFilter, reason: str) -> int:
        store, now = self._store, self._clock.now()

        def make_event(event_type: EventType, metadata: Metadata) -> NewEvent:
            return NewEvent(id=EventId(self._ids.next()), type=event_type, metadata={**metadata, "by": by.actor})

        match change:
            case DestinationChange.TRY_NOW:
                return await store.retry(which, now)
            case DestinationChange.HOLD:
                return await store.hold(which, now, by=HeldBy(by=by.name, since=now, why=reason) if by.name or reason else None)
            case DestinationChange.RELEASE:
                return await store.release_held(which, now)
            case DestinationChange.CANCEL:
                return await store.cancel(which, now, make_event)
            case DestinationChange.BOUNCE:
                return await store.bounce(which, now, make_event, metadata=_returned(by, reason))


def _detour_host(url: str) -> DetourHost:
    """Raises `BadField`."""
    try:
        smart_host = parse_smart_host(url)
        lane = smart_host_lane(url, OPERATOR)
    except ValueError as error:
        raise BadField("smarthost", str(error)) from None
    if smart_host is None:
        raise BadField("smarthost", FORM)
    password = smart_host.credentials[1] if smart_host.credentials is not None else ""
    return DetourHost(lane=lane, url=write_smart_host(smart_host), password=password)


def _target(domain: str) -> str:
    return "all mail" if domain == ANY_DOMAIN else domain


def _ends(until: datetime | None) -> dict[str, object]:
    return {"until": timestamp(until)} if until is not None else {}


def _why(reason: str) -> dict[str, object]:
    return {"reason": reason} if reason else {}


def _returned(by: By, reason: str) -> Metadata:
    """What the event of a delivery says that a person has returned. It is no fault of the address, so nothing is suppressed."""
    sentence = f"Returned by {by.name or 'an operator'}{f': {reason}' if reason else ''}"
    return {"bounce_type": SOFT, "category": Category.OTHER.value, "enhanced_code": RETURNED, "reason": sentence, "returned": True}
