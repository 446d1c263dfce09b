"""Suppressions and unsubscribes: who gets no mail, or no marketing, why and since when."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from sendryd.accounts.suppression_list import read_list
from sendryd.accounts.suppressions import BadAddress, seek_address
from sendryd.dashboard.app import Page
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit, headers
from sendryd.model.ids import SUPPRESSION_PREFIX, UNSUBSCRIBE_PREFIX, SuppressionId, UnsubscribeId, format_id, parse_id
from sendryd.model.moment import timestamp
from sendryd.model.suppression import Suppression, SuppressionReason, Unsubscribe
from sendryd.policy.address_key import normalise_address
from sendryd.policy.explain.words import count
from sendryd.store.errors import NotFound
from sendryd.web.tables import csv_text

PAGE: Final = 50
EXPORT_STEP: Final = 1000  # rows read at once
MAX_DIGITS: Final = 6
MAX_LIST_NAME: Final = 100  # characters, as REST allows
WORDS: Final = {
    SuppressionReason.HARD_BOUNCE: ("bad", "bad", "Hard bounce"),
    SuppressionReason.COMPLAINT: ("abuse", "abuse", "Complaint"),
    SuppressionReason.UNSUBSCRIBE: ("off", "out", "Unsubscribed"),
    SuppressionReason.MANUAL: ("hold", "hold", "By hand"),
}
LIFTING: Final = {
    SuppressionReason.HARD_BOUNCE: "Its server said that the address does not exist. If that is still so, the next mail bounces, which harms your"
    " reputation, and the address is suppressed again.",
    SuppressionReason.COMPLAINT: "The recipient marked your mail as spam. Another complaint harms delivery to everyone else: lift it only if the"
    " recipient asks for it.",
    SuppressionReason.UNSUBSCRIBE: "The recipient does not want this mail. Lift it only if the recipient asks for it.",
    SuppressionReason.MANUAL: "Somebody entered it by hand. The address gets mail again from now on.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A suppressed address."""

    id: str
    email: str
    reason: str
    tone: str
    shape: str
    word: str
    since: Moment
    lifting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsubscribeRow:
    """An unsubscribed address."""

    id: str
    email: str
    list_id: str
    reason: str
    since: Moment


async def show(visit: Visit) -> Response:
    """`GET /suppressions`."""
    return await _show(visit)


async def add(visit: Visit) -> Response:
    """`POST /suppressions`: suppresses an address."""
    email = visit.fields.get("email", "")
    try:
        made = await visit.needs.lists.by(visit.author).suppress(visit.account_id, email, SuppressionReason.MANUAL)
    except BadAddress as error:
        return await _show(visit, wrong=f"{email or 'The field'}: {error}.", email=email, status=422)
    return visit.go(f"/suppressions?{urlencode({'q': made.email})}")


async def lift(visit: Visit) -> Response:
    """`POST /suppressions/lift`."""
    email = visit.fields.get("email", "")
    try:
        await visit.needs.lists.by(visit.author).lift_suppression(visit.account_id, email)
    except NotFound:
        return await _show(visit, fault="The address is not suppressed: somebody has lifted it.", status=409)
    return visit.go("/suppressions")


async def import_(visit: Visit) -> Response:
    """`POST /suppressions/import`: the text of the field, or of the file."""
    text = visit.fields.get("file", "") or visit.fields.get("addresses", "")
    pasted = read_list(text)
    if pasted.faults:
        return await _show(visit, faults=pasted.faults, addresses=text, status=422)
    new = await visit.needs.lists.by(visit.author).import_suppressions(visit.account_id, pasted.entries)
    return visit.go(f"/suppressions?{urlencode({'new': new, 'known': len(pasted.entries) - new})}")


async def export(visit: Visit) -> Response:
    """`GET /suppressions/export`: the whole list as CSV, streamed."""
    await _audit(visit, "suppression.exported", "suppressions", {})
    sent = {**headers(), "Content-Disposition": 'attachment; filename="suppressions.csv"'}
    return StreamingResponse(_csv(visit), media_type="text/csv", headers=sent)


async def show_unsubscribes(visit: Visit) -> Response:
    """`GET /unsubscribes`."""
    return await _show_unsubscribes(visit)


async def unsubscribe(visit: Visit) -> Response:
    """`POST /unsubscribes`: takes an address off a list, or off all marketing."""
    email, name = visit.fields.get("email", ""), visit.fields.get("list", "")
    if len(name) > MAX_LIST_NAME or not name.isprintable():
        return await _show_unsubscribes(visit, wrong_list=f"Enter at most {MAX_LIST_NAME} characters.", email=email, status=422)
    try:
        stored, _ = await visit.needs.lists.by(visit.author).unsubscribe(visit.account_id, [email], list_id=name or None, reason=None)
    except BadAddress as error:
        return await _show_unsubscribes(visit, wrong=f"{email or 'The field'}: {error}.", email=email, status=422)
    return visit.go(f"/unsubscribes?{urlencode({'q': stored[0].email})}")


async def subscribe(visit: Visit) -> Response:
    """`POST /unsubscribes/lift`."""
    number = parse_id(visit.fields.get("id", ""), UNSUBSCRIBE_PREFIX)
    try:
        if number is None:
            raise NotFound("no such unsubscribe")
        await visit.needs.lists.by(visit.author).subscribe(visit.account_id, UnsubscribeId(number))
    except NotFound:
        return await _show_unsubscribes(visit, fault="The address is subscribed: somebody has lifted it.", status=409)
    return visit.go("/unsubscribes")


async def _show(
    visit: Visit,
    *,
    wrong: str = "",
    email: str = "",
    fault: str = "",
    faults: tuple[str, ...] = (),
    addresses: str = "",
    status: int = 200,
) -> Response:
    q = visit.query("q").strip()
    number = parse_id(visit.query("before"), SUPPRESSION_PREFIX)
    found = await visit.needs.store.page_suppressions(
        visit.account_id,
        text=normalise_address(q) if q else None,
        limit=PAGE,
        before=SuppressionId(number) if number is not None else None,
    )
    values = {
        "rows": tuple(_row(each) for each in found.items),
        "looked_up": q,
        "older": _older("/suppressions", q, format_id(SUPPRESSION_PREFIX, found.items[-1].id)) if found.has_more else "",
        "has_filter": bool(q or number is not None),
        "told": _told(visit),
        "wrong": wrong,
        "email": email,
        "fault": fault,
        "faults": faults,
        "addresses": addresses,
    }
    return visit.show("suppressions.html", "suppressions", values, status=status)


async def _show_unsubscribes(
    visit: Visit, *, wrong: str = "", wrong_list: str = "", email: str = "", fault: str = "", status: int = 200
) -> Response:
    q = visit.query("q").strip()
    number = parse_id(visit.query("before"), UNSUBSCRIBE_PREFIX)
    found = await visit.needs.store.page_unsubscribes(
        visit.account_id,
        email=seek_address(q) if q else None,
        limit=PAGE,
        before=UnsubscribeId(number) if number is not None else None,
    )
    values = {
        "rows": tuple(_unsubscribe_row(each) for each in found.items),
        "looked_up": q,
        "older": _older("/unsubscribes", q, format_id(UNSUBSCRIBE_PREFIX, found.items[-1].id)) if found.has_more else "",
        "has_filter": bool(q or number is not None),
        "wrong": wrong,
        "wrong_list": wrong_list,
        "email": email,
        "list": visit.fields.get("list", ""),
        "fault": fault,
    }
    return visit.show("unsubscribes.html", "suppressions", values, status=status)


def _row(suppression: Suppression) -> Row:
    tone, shape, word = WORDS[suppression.reason]
    return Row(
        id=format_id(SUPPRESSION_PREFIX, suppression.id),
        email=suppression.email,
        reason=suppression.reason.value,
        tone=tone,
        shape=shape,
        word=word,
        since=moment_of(suppression.created_at),
        lifting=LIFTING[suppression.reason],
    )


def _unsubscribe_row(unsubscribe: Unsubscribe) -> UnsubscribeRow:
    return UnsubscribeRow(
        id=format_id(UNSUBSCRIBE_PREFIX, unsubscribe.id),
        email=unsubscribe.email,
        list_id=unsubscribe.list_id or "",
        reason=unsubscribe.reason or "",
        since=moment_of(unsubscribe.created_at),
    )


def _older(path: str, q: str, before: str) -> str:
    return f"{path}?{urlencode({'q': q, 'before': before})}"


def _told(visit: Visit) -> str:
    """What an import has done."""
    new, known = visit.query("new"), visit.query("known")
    if not all(each.isascii() and each.isdecimal() and len(each) <= MAX_DIGITS for each in (new, known)):
        return ""
    were = f"; {count(int(known), 'was', 'were')} suppressed before" if int(known) else ""
    return f"{count(int(new), 'new address is', 'new addresses are')} suppressed{were}."


async def _csv(visit: Visit) -> AsyncIterator[str]:
    yield csv_text([("email", "reason", "created_at")])
    before: SuppressionId | None = None
    has_more = True
    while has_more:
        found = await visit.needs.store.page_suppressions(visit.account_id, limit=EXPORT_STEP, before=before)
        yield csv_text([(each.email, each.reason.value, timestamp(each.created_at)) for each in found.items])
        has_more, before = found.has_more, found.items[-1].id if found.items else None


async def _audit(visit: Visit, action: str, target: str, after: dict[str, object]) -> None:
    email = visit.me.signed_in.person.email
    await visit.needs.audit.add(visit.account_id, email, visit.client, action, target, after=after)


PAGES: Final = (
    Page(path="/suppressions", get=show, post=add),
    Page(path="/suppressions/lift", post=lift),
    Page(path="/suppressions/import", post=import_),
    Page(path="/suppressions/export", get=export, proof_to_get=True),
    Page(path="/unsubscribes", get=show_unsubscribes, post=unsubscribe),
    Page(path="/unsubscribes/lift", post=subscribe),
)
