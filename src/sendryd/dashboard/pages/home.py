"""Home: what needs somebody, how much mail comes and goes, where it waits, what has just happened; the first steps of a new installation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from sendryd.accounts.alerting import Alerting
from sendryd.accounts.attention import Seen, View
from sendryd.accounts.audit import By
from sendryd.dashboard.app import Page
from sendryd.dashboard.homeview import LATEST, MINUTES, Outcome, age_of, figures, hour_view, outcomes, wait_rows
from sendryd.dashboard.live import Source
from sendryd.dashboard.snippets import snippets
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.apikey import ApiKey, KeyMode
from sendryd.model.delivery import DeliveryState
from sendryd.model.domain import DomainStatus
from sendryd.model.event import EventType
from sendryd.policy.attention import PAUSE_OF_ALL, Thing, heading
from sendryd.policy.rights import Right
from sendryd.store.base import EventFilter, MessageFilter

DISMISSED_FOR: Final = timedelta(days=1)
LOOKED_THROUGH: Final = 40  # events: among them are enough outcomes
MOST_CHECKED: Final = 10  # domains whose records are looked at while somebody looks at Home
_NO_OUTCOMES: Final = frozenset({EventType.QUEUED, EventType.SENT})
PARTS: Final = {
    "home-heading": "home_heading.html",
    "home-needs": "home_needs.html",
    "home-steps": "home_steps.html",
    "home-figures": "home_figures.html",
    "home-hour": "home_hour.html",
    "home-lists": "home_lists.html",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first steps."""

    is_done: bool
    title: str
    text: str
    path: str
    link: str


@dataclass(frozen=True, slots=True)
class Dismissed:
    """A thing that is left out until some time."""

    thing: Thing
    by: str
    until: Moment


async def show(visit: Visit) -> Response:
    """`GET /`."""
    values = await _read(visit)
    domains = [each.name for each in await visit.needs.store.list_domains(visit.account_id) if each.status is DomainStatus.VERIFIED]
    me = visit.me.signed_in.person.email
    place = visit.place(domains[0] if domains else "", me)
    return visit.show(
        "home.html", "home", {**values, "snippets": snippets(place), "domains": domains, "my_email": me, "told": "", "wrong": ""}
    )


async def dismiss(visit: Visit) -> Response:
    """`POST /dismiss`: leaves a thing out for a day, or shows it again."""
    name, now = visit.fields.get("name", ""), visit.needs.clock.now()
    seen = await _look(visit, now)
    alerting = Alerting(visit.needs.store, visit.needs.audit, clock=visit.needs.clock)
    person = visit.me.signed_in.person
    by = By(account_id=visit.account_id, actor=person.email, client=visit.client)
    if name in {each.key for each in seen.things}:
        await alerting.silence(name, now + DISMISSED_FOR, by, person=person.name)
    elif name in {each.key for each, _ in seen.silenced}:
        await alerting.end_silence(name, by)
    return visit.go("/")


# What is shown.


async def _read(visit: Visit) -> Mapping[str, object]:
    needs, now, account_id = visit.needs, visit.needs.clock.now(), visit.account_id
    minute = now.replace(second=0, microsecond=0)
    seen = await _look(visit, now)
    for domain in seen.domains[:MOST_CHECKED]:  # what is found is in the next reading
        needs.checks.watch(domain, domain.checked_at, is_complete=False)
    minutes = await needs.store.list_minutes(
        account_id, KeyMode.LIVE, start=minute - timedelta(minutes=MINUTES - 1), end=minute + timedelta(minutes=1)
    )
    is_live = await _has_mail(visit, KeyMode.LIVE)
    is_tested = not is_live and await _has_mail(visit, KeyMode.TEST)
    waiting, sending = await _counts(visit, seen)
    is_verified = any(each.status is DomainStatus.VERIFIED for each in seen.domains)
    return {
        "heading": heading(len(seen.things)) or ("All is well" if is_live else "Welcome to sendryd"),
        "sentence": _sentence(seen, is_live=is_live, is_verified=is_verified),
        "things": seen.things,
        "dismissed": tuple(Dismissed(thing, each.by, moment_of(each.until)) for thing, each in seen.silenced),
        "is_live": is_live,
        "has_mail": is_live or is_tested,
        "steps": () if is_live else _steps(seen.keys, is_tested=is_tested, is_verified=is_verified),
        "figures": figures(seen.destinations, minutes, seen.rates, now, waiting=waiting, sending=sending),
        "age": age_of(await needs.store.figures_until(), now),
        "hour": hour_view(minutes, now),
        "waits": wait_rows(seen.destinations, now),
        "outcomes": await _outcomes(visit, now, KeyMode.LIVE if is_live else KeyMode.TEST),
    }


async def _look(visit: Visit, now: datetime) -> Seen:
    view = View(account_id=visit.account_id, sees_everything=visit.me.may(Right.OPERATE))
    return await visit.needs.attention.look(view, now)


async def _has_mail(visit: Visit, mode: KeyMode) -> bool:
    return bool((await visit.needs.store.list_messages(visit.account_id, MessageFilter(mode=mode), limit=1)).items)


async def _counts(visit: Visit, seen: Seen) -> tuple[int, int]:
    """Waiting and leased deliveries: of every account for an operator."""
    if visit.me.may(Right.OPERATE):
        counts = await visit.needs.store.count_queue()
        return counts.get(DeliveryState.QUEUED, 0), counts.get(DeliveryState.LEASED, 0)
    return sum(each.queued for each in seen.destinations), sum(each.leased for each in seen.destinations)


def _sentence(seen: Seen, *, is_live: bool, is_verified: bool) -> str:
    if not is_live and not seen.things:
        return "Four steps, and your app sends."
    if any(each.key == PAUSE_OF_ALL for each in seen.things):
        return "Mail is accepted and kept. Nothing is sent."
    well = "mail is accepted, signed and delivered." if is_verified else "test mail is accepted."
    return f"Everything else is well: {well}" if seen.things else f"{well[0].upper()}{well[1:]}"


def _steps(keys: Sequence[ApiKey], *, is_tested: bool, is_verified: bool) -> tuple[Step, ...]:
    return (
        Step(bool(keys), "An API key", "The first start printed a live and a test key. Each app gets one of its own.", "/keys", "API keys"),
        Step(is_tested, "A test mail", "The lines below send one with a test key. It stays in the Test Inbox.", "/test", "Test Inbox"),
        Step(is_verified, "A sending domain", "Its DNS records prove that the mail is yours.", "/domains", "Domains"),
        Step(False, "A real mail", "The same lines with a live key, from an address of the domain.", "/emails", "Emails"),
    )


async def _outcomes(visit: Visit, now: datetime, mode: KeyMode) -> tuple[Outcome, ...]:
    store, account_id = visit.needs.store, visit.account_id
    events = (await store.list_events(account_id, EventFilter(mode=mode), limit=LOOKED_THROUGH)).items
    found = [each for each in events if each.type not in _NO_OUTCOMES][:LATEST]
    summaries = [await store.get_message(account_id, each) for each in dict.fromkeys(event.message_id for event in found)]
    return outcomes(found, {each.message.id: each for each in summaries if each}, now, is_test=mode is KeyMode.TEST)


PAGES: Final = (
    Page(path="/", get=show, live=Source(page="home", read=_read, parts=PARTS)),
    Page(path="/dismiss", post=dismiss),
)
