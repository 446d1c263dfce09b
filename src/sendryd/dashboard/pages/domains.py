"""Domains: which may send, which DNS record is missing, and the exact line to publish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from sendryd.accounts.domains import BadDomainName
from sendryd.dashboard.app import Page
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.domain import DnsRecord, DomainStatus, RecordPurpose, SendingDomain
from sendryd.model.ids import DOMAIN_PREFIX, format_id
from sendryd.policy.dnsrecords import advise, has_no_answer
from sendryd.policy.recordedits import Edit, Verdict, edit_record, judge
from sendryd.policy.rights import Right
from sendryd.store.errors import Conflict, LimitReached

# A sender at such a host can prove nothing: the domain is another's.
PUBLIC_HOSTS: Final = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "yahoo.com",
        "icloud.com",
        "aol.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "proton.me",
    ]
)
MIN_AGE: Final = 1.0  # seconds: people who check at once share one check
PATIENCE: Final = 15.0  # seconds that a page waits for a check, which goes on
_STATUS: Final = {
    DomainStatus.VERIFIED: ("ok", "ok", "Verified"),
    DomainStatus.PENDING: ("slow", "slow", "Pending"),
    DomainStatus.FAILED: ("bad", "bad", "Failed"),
}
_VERDICTS: Final = {
    Verdict.RIGHT: ("ok", "ok", "Right"),
    Verdict.EDIT: ("bad", "bad", "Needs an edit"),
    Verdict.ADVISED: ("slow", "warn", "Advised"),
    Verdict.OPTIONAL: ("off", "off", "Optional"),
    Verdict.UNKNOWN: ("off", "off", "Not looked at yet"),
}
_PURPOSES: Final = {
    RecordPurpose.DKIM: "DKIM: your signature",
    RecordPurpose.SPF: "SPF: who may send for you",
    RecordPurpose.DMARC: "DMARC: what receivers do with forgeries",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A domain in the list."""

    id: str
    name: str
    status: str
    tone: str
    shape: str
    word: str
    missing: str  # records that are not right
    href: str


@dataclass(frozen=True, slots=True)
class RecordView:
    """A DNS record with its verdict."""

    key: str  # `spf`, `dkim`, `dmarc`
    title: str
    type: str
    name: str
    value: str  # to publish: with the terms of the records that it replaces
    verdict: Verdict
    tone: str
    shape: str
    word: str
    reason: str
    advice: str
    edit: Edit | None  # None: not known, none needed, or `value` is all there is to it
    found: tuple[str, ...]  # a record that is right and differs from `value`


@dataclass(frozen=True, slots=True)
class DomainView:
    """One domain."""

    id: str
    name: str
    path: str
    status: str
    heading: str
    records: tuple[RecordView, ...]
    checked: Moment | None  # by people; None: not since the program started


async def show_list(visit: Visit) -> Response:
    """`GET /domains`."""
    return await _show_list(visit, name="", wrong="", status=200)


async def add(visit: Visit) -> Response:
    """`POST /domains`: adds a domain."""
    name = visit.fields.get("name", "").lower()
    if name in PUBLIC_HOSTS:
        return await _show_list(visit, name=name, wrong=f"{name} is a public mailbox host: add a domain whose DNS is yours.", status=422)
    try:
        domain = await visit.needs.domains.add(visit.account_id, name)
    except BadDomainName as error:
        return await _show_list(visit, name=name, wrong=f"This is no domain name: {error}", status=422)
    except Conflict:
        return await _show_list(visit, name=name, wrong=f"{name} is in this account already.", status=422)
    except LimitReached as error:
        return await _show_list(visit, name=name, wrong=str(error), status=422)
    await _audit(visit, "domain.added", domain.name)
    return visit.go(_path(domain))


async def show(visit: Visit) -> Response:
    """`GET /domains/{name}`."""
    domain = await _find(visit)
    return _missing(visit) if domain is None else _show(visit, domain, status=200)


async def check(visit: Visit) -> Response:
    """`POST /domains/{name}/check`: looks at the published records, past the cache."""
    domain = await _find(visit)
    if domain is None:
        return _missing(visit)
    before = visit.needs.checks.latest(domain.id)
    finding = await visit.needs.checks.look(domain, max_age=MIN_AGE, patience=PATIENCE)
    fault = "DNS takes long to answer: look again in a minute." if finding is before else ""
    domain = await _find(visit)
    return _missing(visit) if domain is None else _show(visit, domain, fault=fault, status=200)


async def remove(visit: Visit) -> Response:
    """`POST /domains/{name}/remove`: removes a domain whose name was typed."""
    domain = await _find(visit)
    if domain is None:
        return _missing(visit)
    typed = visit.fields.get("name", "")
    if typed.strip().lower() != domain.name:
        return _show(visit, domain, typed=typed, wrong=f"Type {domain.name} to remove it.", status=422)
    held = await visit.needs.domains.remove(domain)
    await _audit(visit, "domain.removed", domain.name, {"held": held})
    return visit.go("/domains")


async def _show_list(visit: Visit, *, name: str, wrong: str, status: int) -> Response:
    domains = await visit.needs.store.list_domains(visit.account_id)
    rows = tuple(_row(domain) for domain in sorted(domains, key=lambda each: each.name))
    return visit.show("domains.html", "domains", {"rows": rows, "name": name, "wrong": wrong}, status=status)


def _show(visit: Visit, domain: SendingDomain, *, status: int, fault: str = "", typed: str = "", wrong: str = "") -> Response:
    finding = visit.needs.checks.latest(domain.id)
    is_current = finding is not None and finding.verification.domain.records == domain.records  # REST and a timer check, too
    found = finding.verification.found if finding and is_current else None
    records = tuple(_record(record, None if found is None else found.get(record.purpose, ())) for record in _ordered(domain))
    view = DomainView(
        id=format_id(DOMAIN_PREFIX, domain.id),
        name=domain.name,
        path=_path(domain),
        status=domain.status.value,
        heading=_heading(domain, [record.verdict for record in records]),
        records=records,
        checked=moment_of(finding.at) if finding and is_current else None,
    )
    return visit.show("domain.html", "domain", {"view": view, "fault": fault, "typed": typed, "wrong": wrong}, status=status)


def _ordered(domain: SendingDomain) -> list[DnsRecord]:
    return sorted(domain.records, key=lambda record: tuple(_PURPOSES).index(record.purpose))


def _heading(domain: SendingDomain, verdicts: Sequence[Verdict]) -> str:
    is_verified, edits = domain.status is DomainStatus.VERIFIED, verdicts.count(Verdict.EDIT)
    if edits:
        missing = "One edit is" if edits == 1 else f"{edits} edits are"
        return f"{missing} missing." if is_verified else f"{missing} missing. Until then mail from it is refused with 550 5.7.1."
    if not is_verified:
        return "Publish these records where the domain's DNS is kept, then check. Until then mail from it is refused with 550 5.7.1."
    if Verdict.UNKNOWN in verdicts:
        return "Mail from this domain is signed and accepted. DNS gave no answer in the last check."
    return "Every required record is right. Mail from this domain is signed and accepted."


def _row(domain: SendingDomain) -> Row:
    tone, shape, word = _STATUS[domain.status]
    wrong = [record for record in _ordered(domain) if record.reason and not has_no_answer(record)]
    missing = [record.purpose.value.upper() + ("" if record.is_required else " (advised)") for record in wrong]
    return Row(format_id(DOMAIN_PREFIX, domain.id), domain.name, domain.status.value, tone, shape, word, ", ".join(missing), _path(domain))


def _record(record: DnsRecord, found: tuple[str, ...] | None) -> RecordView:
    """`found` is None where what is published is not known."""
    verdict = judge(record, found or ())
    tone, shape, word = _VERDICTS[verdict]
    edit = None if found is None else edit_record(record, sorted(found))  # DNS answers in any order
    return RecordView(
        key=record.purpose.value,
        title=_PURPOSES[record.purpose],
        type=record.type,
        name=record.name,
        value=edit.adds if edit and edit.adds else record.value,
        verdict=verdict,
        tone=tone,
        shape=shape,
        word="DNS gives no answer" if has_no_answer(record) else word,
        reason=record.reason.partition(": ")[0],
        advice=_advice(record, found),
        edit=edit if edit and edit.deletes else None,
        found=found if found and verdict is Verdict.RIGHT and found != (record.value,) else (),
    )


def _advice(record: DnsRecord, found: tuple[str, ...] | None) -> str:
    """What to do, without the name and the value, which stand below it."""
    if found == () and record.reason and not has_no_answer(record) and "DNS panel" not in record.reason:
        return "Publish this record"
    return advise(record, found or (record.value,)).rstrip(".")


async def _find(visit: Visit) -> SendingDomain | None:
    return await visit.needs.store.find_domain(visit.account_id, visit.request.path_params["name"].lower())


async def _audit(visit: Visit, action: str, target: str, after: Mapping[str, object] | None = None) -> None:
    await visit.needs.audit.add(visit.account_id, visit.me.signed_in.person.email, visit.client, action, target, after=after)


def _missing(visit: Visit) -> Response:
    return visit.show("missing.html", "missing", {}, status=404)


def _path(domain: SendingDomain) -> str:
    return f"/domains/{quote(domain.name)}"


PAGES: Final = (
    Page(path="/domains", get=show_list, post=add, needs_to_change=Right.ADMINISTER),
    Page(path="/domains/{name}", get=show),
    Page(path="/domains/{name}/check", post=check, needs_to_change=Right.WORK),
    Page(path="/domains/{name}/remove", post=remove, needs_to_change=Right.ADMINISTER),
)
