"""Domains: which may send, which record is to mend, what they have sent, and adding one."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from sendryd.accounts.domain_settings import BadDomainName, parse_name
from sendryd.dashboard.app import Page
from sendryd.dashboard.domainview import PURPOSES, STATUSES, is_complete, path_of
from sendryd.dashboard.live import Source
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.domain import DomainStatus, SendingDomain
from sendryd.model.ids import DOMAIN_PREFIX, format_id
from sendryd.policy.dnsrecords import MAX_NAME, has_no_answer
from sendryd.policy.domainnames import is_mailbox_host
from sendryd.policy.recordedits import Verdict, judge
from sendryd.policy.rights import Right
from sendryd.runtime.publicsuffix import is_suffix
from sendryd.store.base import DomainTraffic
from sendryd.store.errors import Conflict, LimitReached

DAY: Final = timedelta(hours=24)
MAX_COUNTED: Final = 10_000  # newest messages that the figures of 24 hours are counted from: about 20 ms
MAX_WATCHED: Final = 20  # incomplete domains that are checked while the list is open: each check asks DNS a dozen times
LIVE_EVERY: Final = 5.0  # seconds: a check of a domain takes as long
_MARKS: Final = {
    Verdict.RIGHT: ("ok", "ok", "right"),
    Verdict.EDIT: ("bad", "bad", "needs an edit"),
    Verdict.ADVISED: ("slow", "warn", "advised"),
    Verdict.OPTIONAL: ("off", "off", "optional"),
    Verdict.UNKNOWN: ("off", "slow", "not known"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A record of a domain in the list."""

    name: str
    tone: str
    shape: str
    word: str


@dataclass(frozen=True, slots=True)
class Row:
    """A domain in the list."""

    id: str
    name: str
    status: str
    tone: str
    shape: str
    word: str
    words: str  # what to do
    marks: tuple[Mark, ...]
    sent: str
    bounced: str
    looked: Moment | None
    href: str


async def show_list(visit: Visit) -> Response:
    """`GET /domains`; a link may bring the name of the domain to add, or to open if it is there."""
    name = visit.query("name").strip().lower()[:MAX_NAME]
    there = await visit.needs.store.find_domain(visit.account_id, name) if name else None
    return visit.go(path_of(there)) if there else await _show(visit, name=name, status=200)


async def add(visit: Visit) -> Response:
    """`POST /domains`: adds a domain, whose page says if its name is doubtful."""
    typed = visit.fields.get("name", "").strip().lower().removesuffix(".")
    try:
        name = parse_name(typed)
    except BadDomainName as error:
        return await _show(visit, name=typed, wrong=f"This is no domain name: {error}", status=422)
    if is_mailbox_host(name):
        return await _show(visit, name=name, wrong=f"{name} is a public mailbox host: add a domain whose DNS is yours.", status=422)
    if is_suffix(name):
        return await _show(visit, name=name, wrong=f"{name} is an ending that many share: add a domain below it.", status=422)
    try:
        domain = await visit.needs.domains.by(visit.author).add(visit.account_id, name)
    except BadDomainName as error:
        return await _show(visit, name=name, wrong=str(error), status=422)
    except Conflict:
        return await _show(visit, name=name, wrong=f"{name} is in this account already.", status=422)
    except LimitReached as error:
        return await _show(visit, name=name, wrong=str(error), status=422)
    return visit.go(path_of(domain))


async def check_all(visit: Visit) -> Response:
    """`POST /domains/check`: looks at the records of every domain, past the caches; the list shows the verdicts as they come."""
    for domain in await visit.needs.store.list_domains(visit.account_id):
        visit.needs.checks.begin(domain)
    return visit.go("/domains")


async def _read(visit: Visit) -> dict[str, object]:
    needs, now = visit.needs, visit.needs.clock.now()
    domains = sorted(await needs.store.list_domains(visit.account_id), key=lambda each: each.name)
    for domain in [each for each in domains if not is_complete(each)][:MAX_WATCHED]:
        needs.checks.watch(domain, domain.checked_at, is_complete=False)
    traffic = await needs.store.count_traffic(visit.account_id, since=now - DAY, limit=MAX_COUNTED)
    is_partial = sum(each.sent for each in traffic.values()) >= MAX_COUNTED
    return {"rows": tuple(_row(domain, traffic.get(domain.id), is_partial=is_partial) for domain in domains)}


async def _show(visit: Visit, *, name: str = "", wrong: str = "", status: int) -> Response:
    values = {**await _read(visit), "name": name, "wrong": wrong}
    return visit.show("domains.html", "domains", values, status=status)


def _row(domain: SendingDomain, traffic: DomainTraffic | None, *, is_partial: bool) -> Row:
    tone, shape, word = STATUSES[domain.status]
    verdicts = {record.purpose: judge(record, ()) for record in domain.records}
    sent, bounced = (traffic.sent, traffic.bounced) if traffic else (0, 0)
    more = "+" if is_partial else ""
    return Row(
        id=format_id(DOMAIN_PREFIX, domain.id),
        name=domain.name,
        status=domain.status.value,
        tone=tone,
        shape=shape,
        word=word,
        words=_words(domain, list(verdicts.values())),
        marks=tuple(Mark(purpose.value.upper(), *_MARKS[verdicts[purpose]]) for purpose in PURPOSES if purpose in verdicts),
        sent=f"{sent:,}{more}",
        bounced=f"{bounced:,}{more}",
        looked=moment_of(domain.checked_at) if domain.checked_at else None,
        href=f"/domains/{quote(domain.name)}",
    )


def _words(domain: SendingDomain, verdicts: list[Verdict]) -> str:
    edits = verdicts.count(Verdict.EDIT)
    if any(has_no_answer(record) for record in domain.records):
        return "DNS gives no answer"
    if edits:
        return "One record to mend" if edits == 1 else f"{edits} records to mend"
    if domain.status is DomainStatus.VERIFIED:
        return "May send" if Verdict.ADVISED not in verdicts else "May send; DMARC is advised"
    return "Not looked at yet"


_LIVE: Final = Source(page="domains", read=_read, parts={"domains": "domains_rows.html"}, interval=LIVE_EVERY)
PAGES: Final = (
    Page(path="/domains", get=show_list, post=add, needs_to_change=Right.ADMINISTER, live=_LIVE),
    Page(path="/domains/check", post=check_all),
)
