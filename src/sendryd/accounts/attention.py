"""What needs the people of an account, from what is stored. Shared by Home and the alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sendryd.accounts.explanations import MAX_LANES, Surroundings, facts_of
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.attention import Silence
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import SendingDomain
from sendryd.model.ids import AccountId
from sendryd.policy.attention import Destination, PauseOfAll, Rates, Situation, Thing, what_needs_somebody
from sendryd.policy.explain import Explanation, Tone, explain, nothing_reachable
from sendryd.policy.explain.reachability import LATELY
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.store.base import EventFilter, PausedDestination, QueueFilter, Store, WaitingDestination

MOST_DESTINATIONS: Final = 100  # that are explained: each takes two reads
MOST_WEBHOOKS: Final = 100  # an account has 50
MOST_EVENTS: Final = 1_000  # of a message, to explain one delivery
_DAY: Final = timedelta(days=1)
_SOON: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Whose state is looked at."""

    account_id: AccountId
    sees_everything: bool  # an operator: Health, and the queue of every account


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was found."""

    at: datetime
    things: Sequence[Thing]  # the most urgent first, without those that are silenced
    silenced: Sequence[tuple[Thing, Silence]]
    destinations: Sequence[Destination]  # the one that has waited longest first
    domains: Sequence[SendingDomain]
    keys: Sequence[ApiKey]
    rates: Rates


class Attention:
    """Looks at the stored state of accounts."""

    def __init__(self, store: Store, *, queue_lifetime: timedelta, is_private: bool) -> None:
        self._store = store
        self._queue_lifetime = queue_lifetime
        self._is_private = is_private

    async def look(self, view: View, now: datetime) -> Seen:
        """Everything that needs the account's people now."""
        store, account_id = self._store, view.account_id
        paused = {each.domain: each for each in await store.list_paused_destinations() if not each.is_over(now)}
        destinations = await self._destinations(None if view.sees_everything else account_id, now, paused)
        domains, keys, rates = (
            await store.list_domains(account_id),
            await store.list_api_keys(account_id),
            await self._rates(account_id, now),
        )
        situation = Situation(
            now=now,
            findings=[each.finding for each in await store.list_finding_spans()] if view.sees_everything else (),
            is_private=self._is_private,
            domains=domains,
            destinations=destinations,
            pause_of_all=_pause_of_all(paused),
            nothing_reachable=nothing_reachable(await store.list_lanes(since=now - LATELY, limit=MAX_LANES), now),
            webhooks=(await store.page_webhooks(account_id, limit=MOST_WEBHOOKS)).items,
            keys=keys,
            rates=rates,
        )
        silences = {each.name: each for each in await store.list_silences(account_id, now)}
        things = what_needs_somebody(situation)
        return Seen(
            at=now,
            things=[each for each in things if each.key not in silences],
            silenced=[(each, silences[each.key]) for each in things if each.key in silences],
            destinations=destinations,
            domains=domains,
            keys=keys,
            rates=rates,
        )

    async def _rates(self, account_id: AccountId, now: datetime) -> Rates:
        """Counts of live mail in the last 24 hours, the present one included."""
        start = now.replace(minute=0, second=0, microsecond=0) - _DAY
        hours = await self._store.list_hours(account_id, KeyMode.LIVE, start=start, end=now)
        delivered, bounced = sum(each.delivered for each in hours), sum(each.bounced for each in hours)
        return Rates(sent=delivered + bounced, delivered=delivered, bounced=bounced, complained=sum(each.complained for each in hours))

    async def _destinations(
        self, account_id: AccountId | None, now: datetime, paused: Mapping[str, PausedDestination]
    ) -> list[Destination]:
        found = await self._store.list_waiting_destinations(account_id, limit=MOST_DESTINATIONS)
        return [await self._destination(each, now, paused) for each in found]

    async def _destination(self, found: WaitingDestination, now: datetime, paused: Mapping[str, PausedDestination]) -> Destination:
        explanation, category = Explanation(Tone.GO, "In the queue."), None
        sample = await self._store.list_queue(QueueFilter(delivery_id=found.sample), limit=1) if _is_explained(found, paused) else ()
        for delivery in sample:
            message = delivery.message
            which = EventFilter(mode=message.mode, message_id=message.id)
            events = await self._store.list_events(message.account_id, which, limit=MOST_EVENTS)
            facts = facts_of(delivery, events.items, now, lifetime=self._queue_lifetime, around=Surroundings(paused=tuple(paused.values())))
            if facts.state is not DeliveryState.HELD and facts.last is not None:  # the cause stays while the next attempt is under way
                facts = replace(facts, state=DeliveryState.QUEUED, due_at=max(facts.due_at, now + _SOON))
                category = facts.last.category if facts.last else None
            explanation = explain(facts)
        return Destination(
            domain=found.domain,
            queued=found.queued,
            leased=found.leased,
            held=found.held,
            since=found.since,
            explanation=explanation,
            category=category,
            is_paused=_is_paused(found, paused),
        )


def _is_explained(found: WaitingDestination, paused: Mapping[str, PausedDestination]) -> bool:
    """Mail that waits for its first attempt has nothing to explain."""
    return bool(found.last_reply) or found.held > 0 or _is_paused(found, paused)


def _is_paused(found: WaitingDestination, paused: Mapping[str, PausedDestination]) -> bool:
    return found.domain in paused or ANY_DOMAIN in paused


def _pause_of_all(paused: Mapping[str, PausedDestination]) -> PauseOfAll | None:
    pause = paused.get(ANY_DOMAIN)
    return None if pause is None else PauseOfAll(pause.by, pause.since, pause.until)
