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
from sendryd.policy.rights import Right
from sendryd.store.errors import Conflict, LimitReached, NotFound

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
_STATUS: Final = {
    DomainStatus.VERIFIED: ("ok", "ok", "Verified"),
    DomainStatus.PENDING: ("slow", "slow", "Pending"),
    DomainStatus.FAILED: ("bad", "bad", "Failed"),
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
    value: str
    verdict: str  # right, edit, advised, unknown
    tone: str
    shape: str
    word: str
    reason: str
    advice: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DomainView:
    """One domain."""

    id: str
    name: str
    path: str
    status: str
    heading: str
    records: tuple[RecordView, ...]
    checked: Moment | None


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
    return _missing(visit) if domain is None else _show(visit, domain, {}, "", status=200)


async def check(visit: Visit) -> Response:
    """`POST /domains/{name}/check`: looks at the published records, past the cache."""
    domain = await _find(visit)
    if domain is None:
        return _missing(visit)
    try:
        looked = await visit.needs.domains.verify(domain)
    except NotFound:
        return _missing(visit)
    return _show(visit, looked.domain, looked.found, "", status=200, is_fresh=True)


async def remove(visit: Visit) -> Response:
    """`POST /domains/{name}/remove`: removes a domain whose name was typed."""
    domain = await _find(visit)
    if domain is None:
        return _missing(visit)
    if visit.fields.get("name", "").lower() != domain.name:
        return _show(visit, domain, {}, f"Type {domain.name} to remove it.", status=422)
    held = await visit.needs.domains.remove(domain)
    await _audit(visit, "domain.removed", domain.name, {"held": held})
    return visit.go("/domains")


async def _show_list(visit: Visit, *, name: str, wrong: str, status: int) -> Response:
    domains = await visit.needs.store.list_domains(visit.account_id)
    rows = tuple(_row(domain) for domain in sorted(domains, key=lambda each: each.name))
    return visit.show("domains.html", "domains", {"rows": rows, "name": name, "wrong": wrong}, status=status)


def _show(
    visit: Visit, domain: SendingDomain, found: Mapping[RecordPurpose, Sequence[str]], wrong: str, *, status: int, is_fresh: bool = False
) -> Response:
    ordered = sorted(domain.records, key=lambda record: tuple(_PURPOSES).index(record.purpose))
    records = tuple(_record(record, tuple(found.get(record.purpose, ())), is_fresh=is_fresh) for record in ordered)
    edits = sum(record.verdict == "edit" for record in records)
    view = DomainView(
        id=format_id(DOMAIN_PREFIX, domain.id),
        name=domain.name,
        path=_path(domain),
        status=domain.status.value,
        heading=_heading(domain, edits),
        records=records,
        checked=moment_of(visit.needs.clock.now()) if is_fresh else None,
    )
    return visit.show("domain.html", "domain", {"view": view, "wrong": wrong}, status=status)


def _heading(domain: SendingDomain, edits: int) -> str:
    if domain.status is DomainStatus.VERIFIED and not edits:
        return "Every required record is right. Mail from this domain is signed and accepted."
    if not edits:
        return "Nothing is wrong as far as it was looked at. Publish the records, then check."
    missing = "One edit is" if edits == 1 else f"{edits} edits are"
    refused = "" if domain.status is DomainStatus.VERIFIED else " Until then mail from it is refused with 550 5.7.1."
    return f"{missing} missing.{refused}"


def _row(domain: SendingDomain) -> Row:
    tone, shape, word = _STATUS[domain.status]
    missing = [record.purpose.value.upper() for record in domain.records if record.reason]
    return Row(format_id(DOMAIN_PREFIX, domain.id), domain.name, domain.status.value, tone, shape, word, ", ".join(missing), _path(domain))


def _record(record: DnsRecord, found: tuple[str, ...], *, is_fresh: bool) -> RecordView:
    verdict, tone, shape, word = _verdict(record)
    return RecordView(
        key=record.purpose.value,
        title=_PURPOSES[record.purpose],
        type=record.type,
        name=record.name,
        value=record.value,
        verdict=verdict,
        tone=tone,
        shape=shape,
        word=word,
        reason=record.reason.partition(": ")[0],
        advice="" if not is_fresh or not record.reason else advise(record, found) if found else "Publish this line",
        found=found,
    )


def _verdict(record: DnsRecord) -> tuple[str, str, str, str]:
    """The word for `data-verdict`, with tone, shape and word for people."""
    if record.is_verified and not record.reason:
        return "right", "ok", "ok", "Right"
    if not record.reason or has_no_answer(record):
        return "unknown", "off", "go", "Not looked at yet" if not record.reason else "DNS gives no answer"
    if record.is_required:
        return "edit", "bad", "bad", "Needs an edit"
    return "advised", "slow", "warn", "Advised"


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
