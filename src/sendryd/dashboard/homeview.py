"""Home's figures, chart and lists, from what the store has of them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from sendryd.dashboard.charts import Chart, Gauge, draw, gauge, halve
from sendryd.dashboard.statuses import RANKS, SHAPES, status_of
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.model.event import Event, EventType
from sendryd.model.figures import LATENCY_BUCKETS, MinuteFigures
from sendryd.model.ids import MESSAGE_PREFIX, TEST_MESSAGE_PREFIX, format_id
from sendryd.model.message import MessageSummary
from sendryd.policy.attention import BOUNCE_LIMIT, BOUNCE_LINE, COMPLAINT_LIMIT, COMPLAINT_LINE, Destination, Rates
from sendryd.policy.explain import Tone
from sendryd.policy.explain.words import count, receiver, span
from sendryd.policy.replies.verdict import Category

MINUTES: Final = 60
STALE: Final = timedelta(seconds=10)  # figures are counted every half second, two seconds late
WORST: Final = 5  # destinations
LATEST: Final = 6  # outcomes
_MINUTE: Final = timedelta(minutes=1)
_FULL_OF_COMPLAINTS: Final = 0.004  # where the gauge ends: a little above the last line
_OUTCOMES: Final[Mapping[EventType, tuple[Tone, str, str]]] = {
    EventType.DELIVERED: (Tone.OK, "ok", "delivered"),
    EventType.DEFERRED: (Tone.SLOW, "slow", "put off"),
    EventType.BOUNCED: (Tone.BAD, "bad", "bounced"),
    EventType.FAILED: (Tone.BAD, "bad", "given up"),
    EventType.SUPPRESSED: (Tone.OFF, "ban", "suppressed"),
    EventType.CANCELLED: (Tone.OFF, "off", "cancelled"),
    EventType.OPENED: (Tone.OK, "eye", "opened"),
    EventType.CLICKED: (Tone.OK, "click", "clicked"),
    EventType.COMPLAINED: (Tone.ABUSE, "abuse", "marked as spam"),
}

CAUSES: Final[Mapping[str, str]] = {
    Category.INVALID_RECIPIENT: "no such mailbox",
    Category.INACTIVE_MAILBOX: "the mailbox is closed",
    Category.MAILBOX_FULL: "the mailbox is full",
    Category.BAD_DOMAIN: "no such domain",
    Category.ROUTING_ERROR: "sent to the wrong server",
    Category.DNS_FAILURE: "DNS gives no answer",
    Category.CONNECT_FAILURE: "does not answer",
    Category.TLS_FAILURE: "no encryption that fits",
    Category.GREYLISTED: "come back later",
    Category.RATE_LIMITED: "asked to slow down",
    Category.IP_REPUTATION: "does not trust this server",
    Category.DOMAIN_REPUTATION: "does not trust your domain",
    Category.CONTENT_REJECTED: "taken for spam",
    Category.AUTH_FAILED: "not known to be yours",
    Category.TOO_LARGE: "too large",
    Category.PROTOCOL_ERROR: "broke the session",
    Category.RELAY_DENIED: "says it is not in charge",
    Category.EXPIRED: "given up",
    Category.SUPPRESSED: "the address is suppressed",
}
_FAILURES: Final = frozenset({EventType.DEFERRED, EventType.BOUNCED, EventType.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One of the six."""

    name: str
    text: str
    unit: str = ""
    note: str = ""
    gauge: Gauge | None = None
    tone: str = ""  # of the gauge


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLine:
    """A row of the table under the chart."""

    at: Moment
    delivered: int
    deferred: int
    bounced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HourView:
    """The last 60 minutes."""

    wide: Chart
    narrow: Chart
    lines: tuple[ChartLine, ...]  # minutes with mail, the latest first


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitRow:
    """A destination that mail waits for."""

    domain: str
    path: str
    waiting: str
    oldest: str
    tone: str
    shape: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has just happened to a mail."""

    id: str
    path: str
    status: str  # of the whole mail, in the API's word
    tone: str
    shape: str
    word: str
    recipient: str
    text: str
    at: Moment
    age: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """How old the figures are. `text` is empty for fresh ones."""

    stamp: str
    text: str


def figures(
    destinations: Sequence[Destination], minutes: Sequence[MinuteFigures], rates: Rates, now: datetime, *, waiting: int, sending: int
) -> tuple[Figure, ...]:
    """Waiting, sending, delivered, time to deliver, bounced, complaints."""
    delivered = sum(each.delivered for each in minutes)
    busy = sum(each.leased > 0 for each in destinations)
    since = min((each.since for each in destinations if each.queued), default=None)
    median, most = within(minutes, 0.5), within(minutes, 0.95)
    return (
        Figure(name="Waiting", text=f"{waiting:,}", note=f"oldest {span(now - since)}" if waiting and since else "nothing waits"),
        Figure(name="Sending now", text=f"{sending:,}", note=f"to {count(busy, 'destination', 'destinations')}" if busy else "idle"),
        Figure(name="Delivered, last hour", text=f"{delivered:,}", note=_pace(delivered)),
        Figure(
            name="Time to deliver",
            text=_seconds(median)[0],
            unit=_seconds(median)[1],
            note=f"median; 95 % within {' '.join(_seconds(most))}" if most is not None else "no mail in the last hour",
        ),
        Figure(
            name="Bounced, 24 h",
            text=f"{rates.bounce_rate:.2%}".rstrip("%"),
            unit="%",
            note="stay under 2 %",
            gauge=gauge(rates.bounce_rate, BOUNCE_LIMIT, [BOUNCE_LINE]),
            tone=_level(rates.bounce_rate, BOUNCE_LINE, BOUNCE_LIMIT),
        ),
        Figure(
            name="Complaints, 24 h",
            text=f"{rates.complaint_rate:.2%}".rstrip("%"),
            unit="%",
            note="Gmail, Yahoo: 0.1 and 0.3 %",
            gauge=gauge(rates.complaint_rate, _FULL_OF_COMPLAINTS, [COMPLAINT_LINE, COMPLAINT_LIMIT]),
            tone=_level(rates.complaint_rate, COMPLAINT_LINE, COMPLAINT_LIMIT),
        ),
    )


def within(minutes: Iterable[MinuteFigures], share: float) -> float | None:
    """Seconds within which a share of the deliveries was made, estimated within its bucket; None without deliveries."""
    buckets = [sum(each) for each in zip(*(each.latency for each in minutes), strict=True)]
    wanted, passed, low = sum(buckets) * share, 0, 0.0
    if not wanted:
        return None
    for number, high in zip(buckets, LATENCY_BUCKETS, strict=True):
        if number and passed + number >= wanted:
            return low if high == LATENCY_BUCKETS[-1] else low + (high - low) * (wanted - passed) / number
        passed, low = passed + number, high
    return low


def _seconds(value: float | None) -> tuple[str, str]:
    """A time with its unit, as short as it says something: `0.4 s`, `35 s`, `12 min`, `3 h`."""
    if value is None:
        return "–", ""
    if value < 10:
        return f"{value:.1f}", "s"
    number, _, unit = span(timedelta(seconds=value)).partition(" ")
    return number, unit


def _pace(hourly: int) -> str:
    """How fast so much in an hour is. Empty for what comes singly."""
    if hourly >= 360:
        return f"{hourly / 3600:.1f} a second"
    return f"{hourly / 60:.1f} a minute" if hourly >= 60 else ""


def _level(value: float, line: float, limit: float) -> str:
    return "bad" if value >= limit else "slow" if value >= line else "ok"


def hour_view(minutes: Sequence[MinuteFigures], now: datetime) -> HourView:
    """The chart of the last 60 minutes, the present one included, and its table."""
    last = now.replace(second=0, microsecond=0)
    by_minute = {each.minute: each for each in minutes}
    row = [by_minute.get(last - back * _MINUTE) for back in reversed(range(MINUTES))]
    series = [
        ("Delivered", "delivered", [each.delivered if each else 0 for each in row]),
        ("Deferred", "deferred", [each.deferred if each else 0 for each in row]),
        ("Bounced", "bounced", [each.bounced if each else 0 for each in row]),
    ]
    return HourView(
        wide=draw(series),
        narrow=draw([(name, kind, halve(values)) for name, kind, values in series]),
        lines=tuple(
            ChartLine(at=moment_of(each.minute), delivered=each.delivered, deferred=each.deferred, bounced=each.bounced)
            for each in reversed(row)
            if each and (each.delivered or each.deferred or each.bounced)
        ),
    )


def wait_rows(destinations: Sequence[Destination], now: datetime) -> tuple[WaitRow, ...]:
    """The worst destinations: those whose cause needs a reader most, then those that have waited longest."""
    waiting = [each for each in destinations if each.queued or each.held]
    worst = sorted(waiting, key=lambda each: (RANKS[each.explanation.tone], each.since))[:WORST]
    return tuple(
        WaitRow(
            domain=each.domain,
            path=f"/queue/{quote(each.domain)}",
            waiting=f"{each.queued + each.held:,}",
            oldest=span(now - each.since),
            tone=each.explanation.tone.value,
            shape=SHAPES[each.explanation.tone],
            why=_shorter(each),
        )
        for each in worst
    )


def _shorter(each: Destination) -> str:
    """The cause without the name of the destination, which stands in the same row."""
    sentence = each.explanation.sentence.partition(". ")[0].partition(": ")[0].rstrip(".")
    cause = sentence.removeprefix(f"{receiver(each.domain)} ")
    return cause[:1].upper() + cause[1:]


def outcomes(events: Iterable[Event], messages: Mapping[int, MessageSummary], now: datetime, *, is_test: bool) -> tuple[Outcome, ...]:
    """The latest outcomes, newest first. `messages` by their ids."""
    found = []
    for event in events:
        summary, shown = messages.get(event.message_id), _OUTCOMES.get(event.type)
        if summary is None or shown is None:
            continue
        message = summary.message
        tone, shape, word = shown
        public_id = format_id(TEST_MESSAGE_PREFIX if is_test else MESSAGE_PREFIX, message.id)
        found.append(
            Outcome(
                id=public_id,
                path=f"/test?open={public_id}" if is_test else f"/emails/{public_id}",
                status=status_of(summary, now).api,
                tone=tone.value,
                shape=shape,
                word=word,
                recipient=event.recipient,
                text=_cause(event) or message.subject or "(no subject)",
                at=moment_of(event.created_at),
                age=span(now - event.created_at),
            )
        )
    return tuple(found)


def _cause(event: Event) -> str:
    """`no such mailbox`; empty for what is no failure, and for a cause without a word."""
    category = event.metadata.get("category")
    return CAUSES.get(category, "") if event.type in _FAILURES and isinstance(category, str) else ""


def age_of(until: datetime | None, now: datetime) -> Age:
    """The age of figures that are counted up to a time."""
    if until is None:
        return Age(stamp=moment_of(now).stamp, text="")
    return Age(stamp=moment_of(until).stamp, text=f"{span(now - until)} old" if now - until > STALE else "")
