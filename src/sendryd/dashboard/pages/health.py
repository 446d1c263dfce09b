"""Health: what `sendryd check` finds, since when, each with its fix; the settings of alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from sendryd.accounts.account import Accounts
from sendryd.accounts.alerting import Alerting, BadUrl
from sendryd.accounts.audit import By
from sendryd.accounts.siteboard import list_sites
from sendryd.dashboard.app import Page
from sendryd.dashboard.engineview import pool_views, site_views, stop_views
from sendryd.dashboard.live import Source
from sendryd.dashboard.pages.reports import SUMMED, sum_view
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.health.watch import QUICK_CHECKS
from sendryd.model.account import AlertRecipients, AlertScope, AlertSettings
from sendryd.model.attention import Silence
from sendryd.model.unknownreply import UnknownReply
from sendryd.policy.attention import Kind
from sendryd.policy.explain.words import span
from sendryd.policy.health import Check, Verdict, worst_first
from sendryd.policy.health.history import KEPT, FindingSpan
from sendryd.policy.rights import Right

VERDICTS: Final = {
    Verdict.WRONG: ("bad", "bad", "Wrong"),
    Verdict.UNKNOWN: ("off", "off", "Unknown"),
    Verdict.ADVISED: ("slow", "warn", "Advised"),
    Verdict.RIGHT: ("ok", "ok", "Right"),
}
NUMBERS: Final = ("Nothing is", "One thing is", "Two things are", "Three things are", "Four things are", "Five things are")
PATIENCE: Final = 4.0  # seconds that the page waits for the first examination
SILENCES: Final = {
    "hour": ("an hour", timedelta(hours=1)),
    "day": ("a day", timedelta(days=1)),
    "week": ("a week", timedelta(days=7)),
    "month": ("30 days", timedelta(days=30)),
}
RECIPIENTS: Final = {
    AlertRecipients.BOTH: "Owners and operators",
    AlertRecipients.OWNERS: "Owners",
    AlertRecipients.OPERATORS: "Operators",
    AlertRecipients.NOBODY: "Nobody",
}
SCOPES: Final = {
    AlertScope.WRONG: "Only what stops mail until it is mended",
    AlertScope.EVERYTHING: "Everything that Home counts",
}
PARTS: Final = {
    "health-heading": "health_heading.html",
    "health-rows": "health_rows.html",
    "health-engine": "health_engine.html",
    "health-replies": "health_replies.html",
}
MAX_URL: Final = 2_000  # characters
MOST_SITES: Final = 30
MAX_TARGET: Final = 200  # characters of the audit
REPLIES: Final = 30  # unknown ones that are listed; the command line has all


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """A finding that is over."""

    tone: str
    shape: str
    word: str
    sentence: str
    begun: Moment
    lasted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A finding."""

    name: str  # for silences
    check: str
    anchor: str
    verdict: str
    tone: str
    shape: str
    word: str
    about: str
    sentence: str
    fix: str
    since: Moment
    lasts: str
    silenced_by: str
    silenced_until: Moment | None
    before: tuple[Before, ...]


@dataclass(frozen=True, slots=True)
class ReplyView:
    """Replies of one shape that no pattern knows."""

    shape: str
    number: str
    host: str
    first: Moment
    last: Moment


async def show(visit: Visit) -> Response:
    """`GET /health`."""
    return await _show(visit)


async def run(visit: Visit) -> Response:
    """`POST /health`: examines the installation now."""
    await visit.needs.watch.run_now()
    return visit.go("/health")


async def silence(visit: Visit) -> Response:
    """`POST /health/silence`: leaves a finding out of Home and of alerts for a time, or shows it again."""
    name, length = visit.fields.get("name", ""), visit.fields.get("for", "")
    spans = await visit.needs.store.list_finding_spans()
    if name not in {_name(each) for each in spans}:
        return visit.show("missing.html", "missing", {}, status=404)
    if length in SILENCES:
        person = visit.me.signed_in.person.name
        await _alerting(visit).silence(name, visit.needs.clock.now() + SILENCES[length][1], _by(visit), person=person)
    else:
        await _alerting(visit).end_silence(name, _by(visit))
    return visit.go("/health")


async def forget_reply(visit: Visit) -> Response:
    """`POST /health/replies`: takes an unknown reply off the list."""
    shape = visit.fields.get("reply", "")
    if await visit.needs.store.forget_unknown_reply(shape):
        await visit.needs.audit.add(visit.account_id, visit.me.signed_in.person.email, visit.client, "reply.forgotten", shape[:MAX_TARGET])
    return visit.go("/health#health-replies")


async def set_alerts(visit: Visit) -> Response:
    """`POST /health/alerts`: who gets alerts, and about what."""
    fields = visit.fields
    recipients, scope = fields.get("recipients", ""), fields.get("scope", "")
    if recipients not in {each.value for each in AlertRecipients} or scope not in {each.value for each in AlertScope}:
        return visit.show("missing.html", "missing", {}, status=404)
    url = fields.get("url", "").strip()[:MAX_URL]
    try:
        await _alerting(visit).set_alerts(
            AlertSettings(recipients=AlertRecipients(recipients), scope=AlertScope(scope), url=url or None), _by(visit)
        )
    except BadUrl as error:
        return await _show(visit, typed=url, wrong=str(error), status=422)
    return visit.go("/health?told=alerts#alerts")


async def _show(visit: Visit, *, typed: str | None = None, wrong: str = "", status: int = 200) -> Response:
    needs = visit.needs
    if not await needs.store.list_finding_spans():
        await needs.watch.run_now(patience=PATIENCE)
    settings = (await Accounts(needs.store).get(visit.account_id)).settings.alerts
    values = {
        **await _read(visit),
        "recipients": [(each.value, text, each is settings.recipients) for each, text in RECIPIENTS.items()],
        "scopes": [(each.value, text, each is settings.scope) for each, text in SCOPES.items()],
        "url": typed if typed is not None else settings.url or "",
        "wrong": wrong,
        "told": "The alerts are set." if visit.query("told") == "alerts" else "",
    }
    return visit.show("health.html", "health", values, status=status)


async def _read(visit: Visit) -> Mapping[str, object]:
    """What is live."""
    needs, now = visit.needs, visit.needs.clock.now()
    spans = await needs.store.list_finding_spans(ended_since=now - KEPT)
    silences = {each.name: each for each in await needs.store.list_silences(visit.account_id, now)}
    examined = needs.watch.examined_at
    return {
        "heading": _heading(spans),
        "rows": _rows(spans, silences, now),
        "at": moment_of(examined) if examined else None,
        "age": span(now - examined) if examined else "",
        "is_running": needs.watch.is_running,
        **await _read_engine(visit, now),
        "replies": [_reply(each) for each in await needs.store.list_unknown_replies(limit=REPLIES)],
        "is_partial": bool(spans) and all(each.finding.check in QUICK_CHECKS for each in spans),
        "lengths": [(value, text) for value, (text, _) in SILENCES.items()],
    }


async def _read_engine(visit: Visit, now: datetime) -> Mapping[str, object]:
    """Sites, what is stopped, and the reports of others."""
    needs = visit.needs
    store = needs.store
    sums = await store.sum_domain_reports(visit.account_id, since=now - SUMMED)
    return {
        "sites": site_views((await list_sites(store, now))[:MOST_SITES], needs.rules()),
        "stops": stop_views(
            await store.list_paused_destinations(), await store.list_suspended_accounts(), await store.list_egress_suspensions(), now
        ),
        "pools": pool_views(await needs.egress.states()),
        "sums": [sum_view(each) for each in sums],
    }


def _heading(spans: Sequence[FindingSpan]) -> str:
    if not spans:
        return "The installation is being examined"
    wrong = sum(each.ended_at is None and each.finding.verdict is Verdict.WRONG for each in spans)
    return f"{NUMBERS[wrong] if wrong < len(NUMBERS) else f'{wrong} things are'} wrong"


def _rows(spans: Sequence[FindingSpan], silences: Mapping[str, Silence], now: datetime) -> list[Row]:
    present = {id(each.finding): each for each in spans if each.ended_at is None}
    over: dict[tuple[Check, str], list[FindingSpan]] = {}
    for each in spans:
        if each.ended_at is not None:
            over.setdefault(each.subject, []).append(each)
    found = [present[id(each)] for each in worst_first(each.finding for each in present.values())]
    anchored: set[Check] = set()
    rows = []
    for each in found:
        rows.append(_row(each, silences.get(_name(each)), over.get(each.subject, ()), now, is_first=each.finding.check not in anchored))
        anchored.add(each.finding.check)
    return rows


def _row(each: FindingSpan, silence: Silence | None, over: Sequence[FindingSpan], now: datetime, *, is_first: bool) -> Row:
    finding = each.finding
    tone, shape, word = VERDICTS[finding.verdict]
    return Row(
        name=_name(each),
        check=finding.check.value.replace("_", " "),
        anchor=finding.check.value if is_first else "",
        verdict=finding.verdict.value,
        tone=tone,
        shape=shape,
        word=word,
        about=finding.about,
        sentence=finding.sentence,
        fix=finding.fix,
        since=moment_of(each.began_at),
        lasts=span(now - each.began_at),
        silenced_by=silence.by if silence else "",
        silenced_until=moment_of(silence.until) if silence else None,
        before=tuple(_before(past) for past in reversed(over)),
    )


def _before(past: FindingSpan) -> Before:
    tone, shape, word = VERDICTS[past.finding.verdict]
    lasted = span((past.ended_at or past.began_at) - past.began_at)
    return Before(tone=tone, shape=shape, word=word, sentence=past.finding.sentence, begun=moment_of(past.began_at), lasted=lasted)


def _name(each: FindingSpan) -> str:
    """As Home names the thing."""
    finding = each.finding
    return ":".join(filter(None, (Kind.HEALTH.value, finding.check.value, finding.about)))


def _reply(each: UnknownReply) -> ReplyView:
    return ReplyView(each.shape, f"{each.number:,}", each.host, moment_of(each.first_at), moment_of(each.last_at))


def _alerting(visit: Visit) -> Alerting:
    return Alerting(visit.needs.store, visit.needs.audit, clock=visit.needs.clock)


def _by(visit: Visit) -> By:
    return By(account_id=visit.account_id, actor=visit.me.signed_in.person.email, client=visit.client)


PAGES: Final = (
    Page(
        path="/health",
        get=show,
        post=run,
        needs=Right.OPERATE,
        needs_to_change=Right.OPERATE,
        live=Source(page="health", read=_read, parts=PARTS, interval=2.0),
    ),
    Page(path="/health/replies", post=forget_reply, needs=Right.OPERATE, needs_to_change=Right.OPERATE),
    Page(path="/health/silence", post=silence, needs=Right.OPERATE, needs_to_change=Right.OPERATE),
    Page(path="/health/alerts", post=set_alerts, needs=Right.OPERATE, needs_to_change=Right.OPERATE),
)
