"""Audit: who changed what, when, from where."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from sendryd.dashboard.app import Page
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit, headers
from sendryd.model.ids import AUDIT_PREFIX, AuditId, format_id, parse_id
from sendryd.model.moment import timestamp
from sendryd.model.people import AuditEntry
from sendryd.policy.rights import Right
from sendryd.web.tables import csv_text

SHOWN: Final = 50  # rows of a page
EXPORT_STEP: Final = 500  # rows read at once
MAX_TEXT: Final = 200  # characters that are looked for
COLUMNS: Final = ("time", "actor", "address", "action", "target", "before", "after")


@dataclass(frozen=True, slots=True)
class EntryView:
    """One change."""

    id: str
    at: Moment
    actor: str
    address: str
    action: str
    target: str
    changes: tuple[str, ...]  # "role: viewer → admin"


async def show(visit: Visit) -> Response:
    """`GET /audit?q=…&before=…`, the newest first."""
    text, number = visit.query("q")[:MAX_TEXT].strip(), parse_id(visit.query("before"), AUDIT_PREFIX)
    before = None if number is None else AuditId(number)
    found = await visit.needs.store.list_audit(visit.account_id, limit=SHOWN, before=before, text=text or None)
    older = ""
    if found.has_more:
        last = format_id(AUDIT_PREFIX, found.items[-1].id)
        older = "/audit?" + urlencode({**({"q": text} if text else {}), "before": last})
    values = {
        "text": text,
        "rows": [_view(each) for each in found.items],
        "older": older,
        "newest": ("/audit?" + urlencode({"q": text}) if text else "/audit") if before is not None else "",
        "export": "/audit/export" + ("?" + urlencode({"q": text}) if text else ""),
    }
    return visit.show("audit.html", "audit", values)


async def export(visit: Visit) -> Response:
    """`GET /audit/export`: all that matches as CSV, which is itself noted."""
    text = visit.query("q")[:MAX_TEXT].strip() or None
    email = visit.me.signed_in.person.email
    await visit.needs.audit.add(visit.account_id, email, visit.client, "audit.exported", text or "")
    named = {**headers(), "Content-Disposition": 'attachment; filename="audit.csv"'}
    return StreamingResponse(_rows(visit, text), media_type="text/csv", headers=named)


async def _rows(visit: Visit, text: str | None) -> AsyncIterator[str]:
    yield csv_text([COLUMNS])
    before: AuditId | None = None
    has_more = True
    while has_more:
        found = await visit.needs.store.list_audit(visit.account_id, limit=EXPORT_STEP, before=before, text=text)
        yield csv_text(
            [
                (timestamp(each.created_at), each.actor, each.address, each.action, each.target, _words(each.before), _words(each.after))
                for each in found.items
            ]
        )
        has_more, before = found.has_more, found.items[-1].id if found.items else None


def _view(entry: AuditEntry) -> EntryView:
    names = [*entry.before, *(name for name in entry.after if name not in entry.before)]
    return EntryView(
        format_id(AUDIT_PREFIX, entry.id),
        moment_of(entry.created_at),
        entry.actor,
        entry.address,
        entry.action,
        entry.target,
        tuple(_change(name, entry) for name in names),
    )


def _change(name: str, entry: AuditEntry) -> str:
    before, after = entry.before.get(name), entry.after.get(name)
    if name in entry.before and name in entry.after:
        return f"{name}: {before} → {after}"
    return f"{name}: {after}" if name in entry.after else f"{name}: was {before}"


def _words(values: Mapping[str, object]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in values.items())


PAGES: Final = (
    Page(path="/audit", get=show, needs=Right.ADMINISTER),
    Page(path="/audit/export", get=export, needs=Right.ADMINISTER, proof_to_get=True),
)
