"""A domain as its page shows it: each record with its verdict, who has seen what, and the steps so far. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.model.domain import RESOLVER, DnsRecord, DomainStatus, PastCheck, RecordPurpose, SendingDomain, Sighting
from sendryd.model.ids import DOMAIN_PREFIX, format_id
from sendryd.policy.dnshosts import name_dns_host
from sendryd.policy.dnsrecords import advise, has_no_answer
from sendryd.policy.inboundrecords import OF_INBOUND
from sendryd.policy.recordedits import Edit, Verdict, edit_record, judge
from sendryd.policy.zonelines import RecordEdit, note, terraform, zone_file, zone_line

STATUSES: Final = {
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
PURPOSES: Final = {
    RecordPurpose.SPF: "SPF: who may send for you",
    RecordPurpose.DKIM: "DKIM: your signature",
    RecordPurpose.DMARC: "DMARC: what receivers do with forgeries",
    RecordPurpose.RETURN_PATH: "MX of the return path: where bounces go",
    RecordPurpose.RETURN_PATH_SPF: "SPF of the return path: who may send for it",
    RecordPurpose.MTA_STS: "MTA-STS: announces that mail to you is encrypted",
    RecordPurpose.MTA_STS_HOST: "The policy host of MTA-STS: leads here",
    RecordPurpose.TLS_RPT: "TLS-RPT: where others report TLS that failed",
    RecordPurpose.DANE: "DANE: the key of this mail server, for zones with DNSSEC",
}
# The page shows these under a right record, and adds the full stop.
_EFFECTS: Final = {
    RecordPurpose.SPF: "Receivers accept this server as a sender for the domain",
    RecordPurpose.DKIM: "Receivers can check the signature that each mail gets here",
    RecordPurpose.DMARC: "Receivers find the policy for mail that only pretends to come from the domain",
}
_URGENCY: Final = (Verdict.EDIT, Verdict.UNKNOWN, Verdict.RIGHT, Verdict.ADVISED, Verdict.OPTIONAL)
_OUR_RESOLVER: Final = "our resolver"


@dataclass(frozen=True, slots=True)
class SightingView:
    """Who answered what, where servers differ."""

    servers: str
    texts: tuple[str, ...]
    is_silent: bool


@dataclass(frozen=True, slots=True)
class RecordView:
    """A DNS record with its verdict."""

    key: str  # `spf`, `dkim`, `dmarc`
    title: str
    type: str
    name: str
    value: str  # to publish: with the terms of the records that it replaces
    line: str  # of a zone file
    verdict: Verdict
    tone: str
    shape: str
    word: str
    reason: str  # the fault; of a right record its effect
    advice: str
    edit: Edit | None  # None: not known, none needed, or `value` is all there is to it
    found: tuple[str, ...]  # a record that is right and differs from `value`
    seen_by: str  # servers that agree; empty: not asked yet
    others: tuple[SightingView, ...]  # servers that answered differently


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the way to the first mail."""

    text: str
    tone: str
    shape: str
    at: Moment | None
    note: str


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check of the past."""

    at: Moment
    words: str
    tone: str
    shape: str
    servers: str


@dataclass(frozen=True, slots=True)
class DomainView:
    """One domain."""

    id: str
    name: str
    path: str
    status: str
    heading: str
    records: tuple[RecordView, ...]
    steps: tuple[Step, ...]
    checked: Moment | None  # None: not yet
    checks: tuple[CheckView, ...]
    host: str  # where its DNS is kept; empty: not known
    is_complete: bool


def path_of(domain: SendingDomain) -> str:
    """The page of a domain."""
    return f"/domains/{quote(domain.name)}"


def is_complete(domain: SendingDomain) -> bool:
    """Whether each record was right in the last check."""
    needed = [record for record in domain.records if record.purpose not in OF_INBOUND]
    return bool(needed) and all(record.is_verified and not record.reason for record in needed)


def record_views(domain: SendingDomain, last: PastCheck | None) -> tuple[RecordView, ...]:
    """The records, those that need an edit first."""
    views = [_record(record, last) for record in sorted(domain.records, key=lambda each: tuple(PURPOSES).index(each.purpose))]
    return tuple(sorted(views, key=lambda view: _URGENCY.index(view.verdict)))


def domain_view(domain: SendingDomain, checks: Sequence[PastCheck], *, every: timedelta, has_sent: bool) -> DomainView:
    """A domain with its last checks, newest first. `every`: the time between checks while the page is open."""
    last = checks[0] if checks else None
    records = record_views(domain, last)
    return DomainView(
        id=format_id(DOMAIN_PREFIX, domain.id),
        name=domain.name,
        path=path_of(domain),
        status=domain.status.value,
        heading=heading(domain, [record.verdict for record in records]),
        records=records,
        steps=_steps(domain, records, checks, every, has_sent=has_sent),
        checked=moment_of(last.at) if last else None,
        checks=tuple(_check(check) for check in checks),
        host=name_dns_host(_authoritative(last)),
        is_complete=is_complete(domain),
    )


def heading(domain: SendingDomain, verdicts: Sequence[Verdict]) -> str:
    """The state of a domain in a sentence or two."""
    is_verified, edits = domain.status is DomainStatus.VERIFIED, verdicts.count(Verdict.EDIT)
    refused = "Until then mail from it is refused with 550 5.7.1."
    if edits:
        missing = "One edit is missing." if edits == 1 else f"{edits} edits are missing."
        return missing if is_verified else f"{missing} {refused}"
    if not is_verified and any(has_no_answer(record) for record in domain.records):
        return f"DNS gives no answer, so nothing is known of its records. {refused}"
    if not is_verified:
        return f"Publish these records where the domain's DNS is kept. {refused}"
    if Verdict.UNKNOWN in verdicts:
        return "Mail from this domain is signed and accepted. DNS gave no answer in the last check."
    return "Every required record is right. Mail from this domain is signed and accepted."


def edits_of(records: Sequence[RecordView]) -> list[RecordEdit]:
    """What to publish and delete, for the texts to paste; everything that is right if nothing is missing."""
    missing = [
        RecordEdit(
            label=_label(view),
            type=view.type,
            name=view.name,
            adds="" if view.edit and not view.edit.adds else view.value,
            deletes=view.edit.deletes if view.edit else (),
        )
        for view in records
        if view.verdict not in {Verdict.RIGHT, Verdict.OPTIONAL}
    ]
    there = [view for view in records if view.verdict is Verdict.RIGHT]
    return missing or [
        RecordEdit(label=_label(view), type=view.type, name=view.name, adds=next(iter(view.found), view.value)) for view in there
    ]


def _label(view: RecordView) -> str:
    return view.key.replace("_", " ").upper()


def texts_to_paste(domain: SendingDomain, records: Sequence[RecordView], *, reply_to: str) -> dict[str, str]:
    """The zone file, Terraform and the note: of what is missing, or of everything if nothing is."""
    edits = [edit for edit in edits_of(records) if f".{edit.name}".endswith(f".{domain.name}")]  # that of DANE may be in another zone
    return {
        "zone": zone_file(domain.name, edits),
        "terraform": terraform(domain.name, edits),
        "note": note(domain.name, edits, reply_to=reply_to),
    }


def _record(record: DnsRecord, last: PastCheck | None) -> RecordView:
    found = None if last is None else last.found(record.purpose)
    verdict = judge(record, found or ())
    tone, shape, word = _VERDICTS[verdict]
    edit = None if found is None else edit_record(record, sorted(found))  # DNS answers in any order
    value = edit.adds if edit and edit.adds else record.value
    sightings = [each for each in last.sightings if each.purpose is record.purpose] if last else []
    return RecordView(
        key=record.purpose.value,
        title=PURPOSES[record.purpose],
        type=record.type,
        name=record.name,
        value=value,
        line=zone_line(record.name, value, record.type),
        verdict=verdict,
        tone=tone,
        shape=shape,
        word="DNS gives no answer" if has_no_answer(record) else word,
        reason=record.reason.partition(": ")[0] or (_EFFECTS.get(record.purpose, "") if verdict is Verdict.RIGHT else ""),
        advice=_advice(record, found),
        edit=edit if edit and edit.deletes else None,
        found=found if found and verdict is Verdict.RIGHT and found != (record.value,) else (),
        seen_by=_seen_by(record, last, sightings),
        others=tuple(_sighting(each) for each in sightings[1:]),
    )


def _seen_by(record: DnsRecord, last: PastCheck | None, sightings: Sequence[Sighting]) -> str:
    """Who answered. Of some records the resolver alone is asked, and nothing noted."""
    if sightings:
        return _name_servers(sightings[0].servers) if sightings[0].texts is not None else ""
    return _OUR_RESOLVER if last and record.purpose in last.faults and not has_no_answer(record) else ""


def _sighting(sighting: Sighting) -> SightingView:
    return SightingView(_name_servers(sighting.servers), sighting.texts or (), is_silent=sighting.texts is None)


def _name_servers(servers: Sequence[str]) -> str:
    """`ns1.dns.example, ns2.dns.example and our resolver`."""
    words = [_OUR_RESOLVER if server == RESOLVER else server for server in servers]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _authoritative(last: PastCheck | None) -> list[str]:
    """The servers of the domain's zone, whether they answered or not."""
    return sorted({server for each in last.sightings for server in each.servers if server != RESOLVER}) if last else []


def _advice(record: DnsRecord, found: tuple[str, ...] | None) -> str:
    """What to do, without the name and the value, which stand below it."""
    if found == () and record.reason and not has_no_answer(record) and "DNS panel" not in record.reason:
        return "Publish this record"
    return advise(record, found or (record.value,)).rstrip(".")


def _steps(
    domain: SendingDomain, records: Sequence[RecordView], checks: Sequence[PastCheck], every: timedelta, *, has_sent: bool
) -> tuple[Step, ...]:
    steps = [Step("Domain added", "ok", "ok", moment_of(domain.created_at), "")]
    seconds = round(every.total_seconds() / 5) * 5  # a check takes its time, too
    looks = f"Looks again every {seconds} s while this page is open" if seconds < 60 else "Looks again each minute"
    for purpose in (RecordPurpose.DKIM, RecordPurpose.SPF):
        view = next((each for each in records if each.key == purpose.value), None)
        if view is None:
            continue
        word = purpose.value.upper()
        if view.verdict is Verdict.RIGHT:
            since = _right_since(checks, purpose)
            steps.append(Step(f"{word} found", "ok", "ok", moment_of(since) if since else None, ""))
        elif view.verdict is Verdict.UNKNOWN:
            steps.append(Step(f"{word}: {view.word}", "off", "slow", None, looks))
        else:
            steps.append(Step(f"{word} needs the edit on this page", "bad", "bad", None, looks))
        looks = "" if view.verdict is not Verdict.RIGHT else looks  # said once
    if domain.verified_at and domain.status is DomainStatus.VERIFIED:
        steps.append(Step("Mail is accepted", "ok", "ok", None, ""))
    tone, shape = ("ok", "ok") if has_sent else ("off", "slow")
    return (*steps, Step("First mail sent" if has_sent else "Send the first mail", tone, shape, None, ""))


def _right_since(checks: Sequence[PastCheck], purpose: RecordPurpose) -> datetime | None:
    """The first check of the row of those, up to the last one, that found a record right."""
    since = None
    for check in checks:
        if check.faults.get(purpose, "unknown"):
            break
        since = check.at
    return since


def _check(check: PastCheck) -> CheckView:
    wrong = [purpose.value.upper() for purpose, fault in check.faults.items() if fault]
    silent = [each for each in check.sightings if each.texts is None]
    tone, shape, words = ("ok", "ok", "All right") if not wrong else ("slow", "warn", f"{', '.join(wrong)} to mend")
    if len(silent) == len(check.sightings):
        tone, shape, words = "off", "off", "No answer"
    return CheckView(moment_of(check.at), words, tone, shape, _name_servers([*_authoritative(check), RESOLVER]))
