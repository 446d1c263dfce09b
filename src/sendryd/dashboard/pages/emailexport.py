"""Export of all mails that a search finds, as CSV or as a JSON object a line (NDJSON). It is read and sent in pieces, never held whole."""

import json
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from sendryd.dashboard.app import Page
from sendryd.dashboard.matching import Matching, make_live_search, read_matching
from sendryd.dashboard.query import Search
from sendryd.dashboard.visit import Visit, headers
from sendryd.model.ids import API_KEY_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.model.message import MessageSummary, derive_status
from sendryd.model.moment import timestamp
from sendryd.policy.rights import Right
from sendryd.web.tables import csv_text

COLUMNS: Final = ("id", "status", "from", "to", "subject", "tags", "key_id", "message_id", "size", "accepted_at", "sent_at")
FORMATS: Final = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}


async def export(visit: Visit) -> Response:
    """`GET /emails/export?q=…&format=csv|ndjson`. The audit names who exported what."""
    text, kind = visit.query("q").strip(), visit.query("format") or "csv"
    if kind not in FORMATS:
        return visit.show("missing.html", "missing", {}, status=404)
    search = await make_live_search(visit.needs.store, visit.account_id, text, visit.needs.clock.now())
    if search.faults:  # a condition that is left out would export more than was meant
        values = {"fault": f"Correct the search first: {search.faults[0]}", "back": "/emails"}
        return visit.show("bulk_fault.html", "bulk", values, status=400)
    first = await read_matching(
        visit.needs.store, visit.account_id, search, before=None
    )  # what cannot be read is said before anything is sent
    email = visit.me.signed_in.person.email
    await visit.needs.audit.add(visit.account_id, email, visit.client, "emails.exported", text or "all mails", after={"format": kind})
    named = {**headers(), "Content-Disposition": f'attachment; filename="emails.{kind}"'}
    return StreamingResponse(_pieces(visit, search, first, kind), media_type=FORMATS[kind], headers=named)


async def _pieces(visit: Visit, search: Search, page: Matching, kind: str) -> AsyncIterator[str]:
    if kind == "csv":
        yield csv_text([COLUMNS])
    while True:
        rows = [_row(each) for each in page.found]
        if kind == "csv":
            yield csv_text([[_cell(row[name]) for name in COLUMNS] for row in rows])
        else:
            yield "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        if page.next is None:
            return
        page = await read_matching(visit.needs.store, visit.account_id, search, before=page.next)


def _row(summary: MessageSummary) -> dict[str, object]:
    message = summary.message
    status = derive_status(summary.states, has_attempts=summary.has_attempts, is_complained=summary.is_complained)
    return {
        "id": format_id(MESSAGE_PREFIX, message.id),
        "status": status.value,
        "from": message.author,
        "to": [*message.to, *message.cc],
        "subject": message.subject,
        "tags": [f"{name}={value}" if value else name for name, value in message.tags],
        "key_id": format_id(API_KEY_PREFIX, message.api_key_id) if message.api_key_id is not None else None,
        "message_id": message.internet_message_id,
        "size": message.size,
        "accepted_at": timestamp(message.created_at),
        "sent_at": timestamp(summary.sent_at) if summary.sent_at else None,
    }


def _cell(value: object) -> str | float:
    if isinstance(value, list):
        return ", ".join(value)
    return value if isinstance(value, int) else str(value or "")


PAGES: Final = (Page(path="/emails/export", get=export, needs=Right.WORK, proof_to_get=True),)
