"""Changes of many mails at once: what was chosen is counted, the person agrees, the server works, and this page shows how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from sendryd.accounts.bulk import NEEDED, Bulk, Order
from sendryd.dashboard.app import Page, Show
from sendryd.dashboard.live import Source
from sendryd.dashboard.matching import make_live_search
from sendryd.dashboard.timeline import Moment, moment_of
from sendryd.dashboard.visit import Visit
from sendryd.model.bulk import BulkChange, BulkJob, BulkState, Selection
from sendryd.model.ids import BULK_JOB_PREFIX, MESSAGE_PREFIX, BulkJobId, MessageId, format_id, parse_id
from sendryd.policy.explain.words import count
from sendryd.policy.rights import Right
from sendryd.store.errors import NotAllowed, NotFound

ROW: Final = "row-"  # the name of a row's checkbox begins with it
PARTS: Final = {"bulk-inside": "bulk_inside.html"}
INTERVAL: Final = 0.5  # seconds: a person waits for the count
# The verb; what has become of each; what happens, for the question.
WORDS: Final[Mapping[BulkChange, tuple[str, str, str]]] = {
    BulkChange.TRY: ("Try", "due now", "Each becomes due now, even where a server has put it off."),
    BulkChange.CANCEL: ("Cancel", "cancelled", "Nothing is sent to them any more. This cannot be undone."),
    BulkChange.HOLD: ("Hold", "held", "It waits until somebody releases it."),
    BulkChange.RELEASE: ("Release", "released and due now", "It goes out, as far as the receiving servers take it."),
    BulkChange.SUPPRESS: (
        "Suppress",
        "suppressed",
        "None of these addresses gets mail from this account any more, until somebody lifts it.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkView:
    """A job."""

    id: str
    path: str
    state: str
    heading: str
    text: str
    button: str  # of the question; empty if there is none
    done: int
    of: int
    back: str
    begun: Moment
    by: str
    can_stop: bool


async def begin(visit: Visit) -> Response:
    """`POST /bulk`: the chosen rows, or all that a search finds."""
    change = _change(visit)
    selection = await _selection(visit)
    if change is None or not visit.me.may(NEEDED[change]):
        return visit.show("missing.html", "missing", {}, status=403)
    if isinstance(selection, str):
        back = _back(visit.fields.get("domain") or None, visit.fields.get("q", ""))
        return visit.show("bulk_fault.html", "bulk", {"fault": selection, "back": back}, status=400)
    return await start(visit, Order(change=change, selection=selection, reason=visit.fields.get("reason", "")))


async def start(visit: Visit, order: Order) -> Response:
    """Stores a job, and goes to its page."""
    job_id = await bulk_of(visit).begin(order, visit.me.signed_in.person.id, visit.author)
    return visit.go(f"/bulk/{format_id(BULK_JOB_PREFIX, job_id)}")


def bulk_of(visit: Visit) -> Bulk:
    """The operations on jobs."""
    needs = visit.needs
    return Bulk(needs.store, needs.audit, clock=needs.clock, ids=needs.ids)


def _change(visit: Visit) -> BulkChange | None:
    word = visit.fields.get("change", "")
    return next((each for each in BulkChange if each.value == word), None)


async def _selection(visit: Visit) -> Selection | str:
    """What a form has chosen, or what is wrong with it."""
    query, domain = visit.fields.get("q", ""), visit.fields.get("domain") or None
    is_of_all = domain is not None and visit.me.may(Right.OPERATE)
    if visit.fields.get("which") != "all":
        numbers = [parse_id(name.removeprefix(ROW), MESSAGE_PREFIX) for name in visit.fields if name.startswith(ROW)]
        messages = tuple(MessageId(number) for number in numbers if number is not None)
        if not messages:
            return "No mail is chosen: tick the rows first, or choose all that match."
        return Selection(messages=messages, domain=domain, is_of_all_accounts=is_of_all)
    if domain is not None:
        return Selection(domain=domain, is_of_all_accounts=is_of_all)
    search = await make_live_search(visit.needs.store, visit.account_id, query, visit.needs.clock.now())
    if search.faults:  # a condition that is left out would choose more than was meant
        return f"Correct the search first: {search.faults[0]}"
    return Selection(query=query)


async def show(visit: Visit) -> Response:
    """`GET /bulk/{id}`."""
    values = await _read(visit)
    if values["view"] is None:
        return visit.show("missing.html", "missing", {}, status=404)
    return visit.show("bulk.html", "bulk", values)


async def _read(visit: Visit) -> Mapping[str, object]:
    job_id = _job_id(visit)
    job = await visit.needs.store.get_bulk_job(visit.account_id, job_id) if job_id is not None else None
    return {"view": _view(visit, job) if job else None}


async def show_all(visit: Visit) -> Response:
    """`GET /bulk`: the latest ones."""
    jobs = await bulk_of(visit).list(visit.account_id)
    return visit.show("bulk_list.html", "bulk", {"jobs": [_view(visit, job) for job in jobs]})


def _job_id(visit: Visit) -> BulkJobId | None:
    number = parse_id(visit.request.path_params["id"], BULK_JOB_PREFIX)
    return None if number is None else BulkJobId(number)


def _changing(change: str) -> Show:
    async def handle(visit: Visit) -> Response:
        job_id = _job_id(visit)
        if job_id is None:
            return visit.show("missing.html", "missing", {}, status=404)
        try:
            if change == "start":
                await bulk_of(visit).agree(visit.account_id, job_id, visit.me.signed_in.person.id)
            else:
                await bulk_of(visit).stop(visit.account_id, job_id)
        except NotFound:
            return visit.show("missing.html", "missing", {}, status=404)
        except NotAllowed:
            return visit.show("missing.html", "missing", {}, status=403)
        return visit.go(f"/bulk/{format_id(BULK_JOB_PREFIX, job_id)}")

    return handle


def _view(visit: Visit, job: BulkJob) -> BulkView:
    public_id = format_id(BULK_JOB_PREFIX, job.id)
    heading, text = _words(job)
    is_counted = job.state is BulkState.COUNTED and job.counted > 0
    verb, _, _ = WORDS[job.change]
    return BulkView(
        id=public_id,
        path=f"/bulk/{public_id}",
        state=job.state.value,
        heading=heading,
        text=text,
        button=f"{verb} {_many(job.counted)}" if is_counted and job.person_id == visit.me.signed_in.person.id else "",
        done=job.handled,
        of=job.counted,
        back=_back(job.selection.domain, job.selection.query or ""),
        begun=moment_of(job.created_at),
        by=job.name or job.actor,
        can_stop=not job.is_over and visit.me.may(NEEDED[job.change]),
    )


def _words(job: BulkJob) -> tuple[str, str]:
    """Heading and text."""
    verb, past, meaning = WORDS[job.change]
    reason = f' The reason is "{job.reason}".' if job.reason else ""
    match job.state:
        case BulkState.COUNTING:
            looked_at = f"{count(job.looked_at, 'mail was', 'mails were')} looked at so far. " if job.looked_at else ""
            return f"Counting: {_many(job.counted)} so far", f"{looked_at}Nothing is changed before you have seen the number."
        case BulkState.COUNTED if not job.counted:
            return "There is nothing to change", "None of these mails is in a state that this change applies to."
        case BulkState.COUNTED:
            return f"{verb} {_mail_to(job)}?", f"{meaning}{reason} Mail that came in after you chose stays as it is."
        case BulkState.WORKING:
            text = f"{job.handled:,} of {job.counted:,} are done. The server goes on if you leave this page."
            return f"{verb}: {_many(job.counted)}", text
        case BulkState.DONE | BulkState.STOPPED:
            stopped = f"Stopped after {job.handled:,} of {job.counted:,}. " if job.state is BulkState.STOPPED else ""
            return f"{_many(job.changed)} {'is' if job.changed == 1 else 'are'} {past}", stopped + _left(job)


def _left(job: BulkJob) -> str:
    """What has become of those that were counted and not changed."""
    left = job.handled - job.changed
    if not left:
        return ""
    if job.change is BulkChange.SUPPRESS:
        return f"{left:,} were suppressed before, or are in the list more than once."
    return f"{left:,} were sent or changed by others meanwhile."


def _many(number: int) -> str:
    return count(number, "recipient", "recipients")


def _mail_to(job: BulkJob) -> str:
    return _many(job.counted) if job.change is BulkChange.SUPPRESS else f"the mail to {_many(job.counted)}"


def _back(domain: str | None, query: str) -> str:
    """Where the mail was chosen."""
    if domain is not None:
        return f"/queue/{quote(domain)}"
    return f"/emails?{urlencode({'q': query})}" if query else "/emails"


PAGES: Final = (
    Page(path="/bulk", get=show_all, post=begin),
    Page(path="/bulk/{id}", get=show, live=Source(page="bulk", read=_read, parts=PARTS, interval=INTERVAL)),
    Page(path="/bulk/{id}/start", post=_changing("start")),
    Page(path="/bulk/{id}/stop", post=_changing("stop")),
)
