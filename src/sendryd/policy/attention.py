"""What needs somebody: from the state of an installation to an ordered list of things, each with its reason and the place to mend it. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlsplit

from sendryd.model.apikey import ApiKey
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.model.ids import WEBHOOK_PREFIX, format_id
from sendryd.model.webhook import Webhook
from sendryd.policy.dnsrecords import has_no_answer
from sendryd.policy.explain import Explanation, Tone
from sendryd.policy.explain.words import clock, count, span
from sendryd.policy.health import Check, Finding, Verdict
from sendryd.policy.replies.verdict import Category

COMPLAINT_LINE: Final = 0.001  # of delivered mail: Gmail and Yahoo ask senders to stay below it
COMPLAINT_LIMIT: Final = 0.003  # Gmail and Yahoo ask senders never to reach it
BOUNCE_LINE: Final = 0.02  # of sent mail: above it receivers take a list for an old one
BOUNCE_LIMIT: Final = 0.05
FEW_COMPLAINTS: Final = 3  # fewer say nothing: one of a hundred mails is 1 %
FEW_BOUNCES: Final = 10
KEY_NOTICE: Final = timedelta(days=7)  # a release of the app that has the key may take that long
WEBHOOK_PATIENCE: Final = timedelta(minutes=5)  # a restart of the app is over by then
SLOW_PATIENCE: Final = timedelta(minutes=10)  # shorter requests to slow down are part of every larger sending
LONG_PATIENCE: Final = timedelta(hours=4)  # greylisting and short outages are over by then
MANY: Final = 4  # destinations with one cause that become one thing


class Kind(StrEnum):
    """What a thing is about. Alerts of one kind come once an hour at most."""

    HEALTH = "health"
    DOMAIN = "domain"
    DESTINATION = "destination"
    HELD = "held"
    WEBHOOK = "webhook"
    COMPLAINTS = "complaints"
    BOUNCES = "bounces"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One thing that needs somebody."""

    kind: Kind
    about: str  # with the kind, it tells this thing from others
    tone: Tone  # BAD: mail is lost, refused or stopped until it is mended
    title: str
    why: str
    link: str  # a path of the dashboard
    button: str

    @property
    def key(self) -> str:
        """Its name in silences and alerts."""
        return f"{self.kind.value}:{self.about}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Waiting mail of one recipient domain."""

    domain: str
    queued: int
    leased: int
    held: int
    since: datetime
    explanation: Explanation  # of a delivery that was tried, if there is one
    category: Category | None = None  # of its last attempt; None: not tried yet
    is_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Counts of the last 24 hours."""

    sent: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0

    @property
    def bounce_rate(self) -> float:
        """Of the mail that reached an end."""
        return self.bounced / self.sent if self.sent else 0.0

    @property
    def complaint_rate(self) -> float:
        """Of the delivered mail."""
        return self.complained / self.delivered if self.delivered else 0.0


@dataclass(frozen=True, slots=True)
class PauseOfAll:
    """All mail waits because a person said so."""

    by: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The state that is judged."""

    now: datetime
    findings: Sequence[Finding] = ()
    is_private: bool = False  # mail stays in a private network: what the internet sees of the server does not count
    domains: Sequence[SendingDomain] = ()
    destinations: Sequence[Destination] = ()
    pause_of_all: PauseOfAll | None = None
    nothing_reachable: bool = False  # several next hops were tried lately, and none took a connection
    webhooks: Sequence[Webhook] = ()
    keys: Sequence[ApiKey] = ()
    rates: Rates = Rates()


# The store's state of domains and the queue is more exact.
_TOLD_ELSEWHERE: Final = frozenset({Check.DOMAIN, Check.QUEUE, Check.SERVER})
_SEEN_FROM_OUTSIDE: Final = frozenset({Check.RESOLVER, Check.HOST_NAME, Check.PTR, Check.PORT_25, Check.BLOCK_LIST, Check.HTTP})
# How long mail may wait for each cause. The other causes are of single mails.
_PATIENCE: Final[Mapping[Category, timedelta]] = {
    Category.CONNECT_FAILURE: timedelta(0),
    Category.DNS_FAILURE: timedelta(0),
    Category.TLS_FAILURE: timedelta(0),
    Category.AUTH_FAILED: timedelta(0),
    Category.IP_REPUTATION: timedelta(0),
    Category.DOMAIN_REPUTATION: timedelta(0),
    Category.RELAY_DENIED: timedelta(0),
    Category.PROTOCOL_ERROR: timedelta(0),
    Category.RATE_LIMITED: SLOW_PATIENCE,
    Category.GREYLISTED: LONG_PATIENCE,
    Category.OTHER: LONG_PATIENCE,
}
_MANY: Final[Mapping[Category, str]] = {
    Category.CONNECT_FAILURE: "do not answer",
    Category.DNS_FAILURE: "cannot be found: DNS gives no answer",
    Category.RATE_LIMITED: "asked for slower sending",
    Category.IP_REPUTATION: "do not trust this server's address",
    Category.DOMAIN_REPUTATION: "do not trust your domain",
    Category.AUTH_FAILED: "could not tell that the mail is yours",
}
_UNREACHABLE: Final = f"{Kind.DESTINATION}:everywhere"
PAUSE_OF_ALL: Final = f"{Kind.DESTINATION}:*"
_PORT_25: Final = f"{Kind.HEALTH}:{Check.PORT_25}"
_URGENCY: Final = {Tone.BAD: 0, Tone.ABUSE: 1, Tone.SLOW: 2, Tone.HOLD: 3}
_ORDER: Final = {kind: place for place, kind in enumerate(Kind)}
_WORDS: Final = ("", "One thing needs", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


def what_needs_somebody(found: Situation) -> list[Thing]:
    """Every thing, the most urgent first."""
    things = [
        *_health(found),
        *_domains(found),
        *_destinations(found),
        *_held(found),
        *_webhooks(found),
        *_rates(found.rates),
        *_keys(found),
    ]
    if any(each.key == _UNREACHABLE for each in things):  # one cause is one thing
        things = [each for each in things if each.key != _PORT_25]
    return sorted(things, key=lambda each: (_URGENCY[each.tone], _ORDER[each.kind], each.about))


def heading(number: int) -> str:
    """`Two things need you`. Empty for none."""
    if number <= 1:
        return f"{_WORDS[number]} you" if number else ""
    return f"{_WORDS[number] if number < len(_WORDS) else f'{number:,}'} things need you"


def _health(found: Situation) -> Iterator[Thing]:
    for each in found.findings:
        is_left_out = each.check in _TOLD_ELSEWHERE or (found.is_private and each.check in _SEEN_FROM_OUTSIDE)
        if is_left_out or not (each.verdict is Verdict.WRONG or each.has_deadline):
            continue
        yield Thing(
            kind=Kind.HEALTH,
            about=f"{each.check.value}:{each.about}" if each.about else each.check.value,
            tone=Tone.BAD if each.verdict is Verdict.WRONG else Tone.SLOW,
            title=each.sentence.rstrip("."),
            why=each.fix,
            link=f"/health#{each.check.value}",
            button="Show the fix",
        )


def _domains(found: Situation) -> Iterator[Thing]:
    for domain in found.domains:
        faults = [each for each in domain.records if each.is_required and each.reason and not has_no_answer(each)]
        is_verified = domain.status is DomainStatus.VERIFIED
        if is_verified and not faults:
            continue
        cause, _, advice = faults[0].reason.partition(": ") if faults else ("", "", "")
        more = f" {count(len(faults) - 1, 'other record needs', 'other records need')} an edit." if len(faults) > 1 else ""
        effect = "Receivers may not trust its mail until then." if is_verified else "Until then its mail is refused with 550 5.7.1."
        yield Thing(
            kind=Kind.DOMAIN,
            about=domain.name,
            tone=Tone.SLOW if domain.verified_at is None else Tone.BAD,  # not set up yet, or broken
            title=_domain_title(domain.name, cause),
            why=f"{_capital(advice.rstrip('.')) or 'Publish its records'}.{more} {effect}",
            link=f"/domains/{quote(domain.name)}",
            button="Show the edit",
        )


def _domain_title(name: str, cause: str) -> str:
    if not cause:
        return f"{name} is not verified yet"
    if cause.startswith("There are several "):
        return f"{name} has several {cause.removeprefix('There are several ').rstrip('.')}"
    return f"{name}: {cause[0].lower() if cause[1:2].islower() else cause[0]}{cause[1:].rstrip('.')}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _destinations(found: Situation) -> Iterator[Thing]:
    if found.pause_of_all is not None:
        yield _paused(found.pause_of_all, found.destinations, found.now)
    stuck: defaultdict[Category, list[Destination]] = defaultdict(list)
    for each in found.destinations:
        if each.category is None or each.is_paused or not (each.queued or each.leased):
            continue
        patience = _PATIENCE.get(each.category)
        if patience is not None and found.now - each.since >= patience:
            stuck[each.category].append(each)
    if found.nothing_reachable and stuck[Category.CONNECT_FAILURE]:
        yield _nothing_reachable(stuck.pop(Category.CONNECT_FAILURE), found.now)
    for category, group in stuck.items():
        if len(group) >= MANY and category in _MANY:
            yield _many(category, group, found.now)
        else:
            yield from (_destination(each, found.now) for each in group)


def _paused(pause: PauseOfAll, destinations: Sequence[Destination], now: datetime) -> Thing:
    until = f" It ends by itself at {clock(pause.until, now)}." if pause.until else ""
    waiting = sum(each.queued for each in destinations)
    return Thing(
        kind=Kind.DESTINATION,
        about="*",
        tone=Tone.HOLD,
        title=f"All mail is paused by {pause.by} since {clock(pause.since, now)}",
        why=f"{count(waiting, 'mail waits', 'mails wait')}, and what comes in is accepted and waits too.{until}",
        link="/queue",
        button="Open the queue",
    )


def _nothing_reachable(group: Sequence[Destination], now: datetime) -> Thing:
    waiting, since = sum(each.queued + each.leased for each in group), min(each.since for each in group)
    return Thing(
        kind=Kind.DESTINATION,
        about=_UNREACHABLE.partition(":")[2],
        tone=Tone.BAD,
        title="No mail server can be reached: outgoing port 25 seems blocked here",
        why=f"{count(waiting, 'mail waits', 'mails wait')}, the oldest for {span(now - since)}."
        " Ask the host of this machine to open it, or set a smart host.",
        link="/queue",
        button="Open the queue",
    )


def _many(category: Category, group: Sequence[Destination], now: datetime) -> Thing:
    waiting, since = sum(each.queued + each.leased for each in group), min(each.since for each in group)
    return Thing(
        kind=Kind.DESTINATION,
        about=category.value,
        tone=Tone.SLOW,
        title=f"{len(group):,} destinations {_MANY[category]}",
        why=f"{count(waiting, 'mail waits', 'mails wait')}, the oldest for {span(now - since)}.",
        link="/queue",
        button="Open the queue",
    )


def _destination(each: Destination, now: datetime) -> Thing:
    waiting = count(each.queued + each.leased, "mail waits", "mails wait")
    return Thing(
        kind=Kind.DESTINATION,
        about=each.domain,
        tone=Tone.SLOW,
        title=each.explanation.sentence.rstrip("."),
        why=f"{waiting}, the oldest for {span(now - each.since)}. {each.explanation.advice}".rstrip(),
        link=f"/queue/{quote(each.domain)}",
        button="Open its queue",
    )


def _held(found: Situation) -> Iterator[Thing]:
    held = [each for each in found.destinations if each.held]
    if not held:
        return
    number, domains = sum(each.held for each in held), [each.domain for each in held]
    where = f"to {domains[0]}" if len(domains) == 1 else f"to {len(domains):,} destinations"
    yield Thing(
        kind=Kind.HELD,
        about="",
        tone=Tone.HOLD,
        title=f"{count(number, 'mail is', 'mails are')} held",
        why=f"Mail {where} stays where it is until somebody releases or cancels it.",
        link=f"/queue/{quote(domains[0])}" if len(domains) == 1 else "/queue",
        button="Open its queue" if len(domains) == 1 else "Open the queue",
    )


def _webhooks(found: Situation) -> Iterator[Thing]:
    for each in found.webhooks:
        name, public_id = urlsplit(each.url).hostname or each.url, format_id(WEBHOOK_PREFIX, each.id)
        if each.is_active and each.failing_since is not None and found.now - each.failing_since >= WEBHOOK_PATIENCE:
            title, tone = f"The webhook to {name} has failed for {span(found.now - each.failing_since)}", Tone.SLOW
            why = "Its app does not learn what became of the mail. What failed is tried again, and can be replayed."
        elif not each.is_active and each.disabled_reason:
            title, tone = f"The webhook to {name} is switched off", Tone.BAD
            why = f"{_capital(each.disabled_reason.rstrip('.'))}. Mend the endpoint, switch the webhook on, then replay what failed."
        else:
            continue
        link = f"/webhooks/{public_id}"
        yield Thing(kind=Kind.WEBHOOK, about=public_id, tone=tone, title=title, why=why, link=link, button="Open the webhook")


def _rates(rates: Rates) -> Iterator[Thing]:
    if rates.complained >= FEW_COMPLAINTS and rates.complaint_rate >= COMPLAINT_LINE:
        yield Thing(
            kind=Kind.COMPLAINTS,
            about="",
            tone=Tone.BAD if rates.complaint_rate >= COMPLAINT_LIMIT else Tone.SLOW,
            title=f"{rates.complaint_rate:.2%} of the last 24 hours' mail was marked as spam",
            why="Gmail and Yahoo ask senders to stay below 0.1 % and never to reach 0.3 %. Look at how these people were signed up.",
            link="/emails?q=status:complained",
            button="Show these mails",
        )
    if rates.bounced >= FEW_BOUNCES and rates.bounce_rate >= BOUNCE_LINE:
        yield Thing(
            kind=Kind.BOUNCES,
            about="",
            tone=Tone.BAD if rates.bounce_rate >= BOUNCE_LIMIT else Tone.SLOW,
            title=f"{rates.bounce_rate:.1%} of the last 24 hours' mail bounced",
            why="Receivers take more than 2 % for an old list and trust the sender less.",
            link="/emails?q=status:bounced",
            button="Show these mails",
        )


def _keys(found: Situation) -> Iterator[Thing]:
    for key in found.keys:
        if key.expires_at is None or key.last_used_at is None or not key.is_active(found.now) or key.expires_at - found.now > KEY_NOTICE:
            continue
        yield Thing(
            kind=Kind.KEY,
            about=str(key.id),
            tone=Tone.SLOW,
            title=f"The API key {key.name} expires {clock(key.expires_at, found.now)}",
            why=f"It was used {span(found.now - key.last_used_at)} ago. Put another key into its app before then.",
            link="/keys",
            button="Open the keys",
        )
