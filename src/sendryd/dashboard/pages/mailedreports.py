"""Reports of the figures by mail: who gets them, and how often."""

from contextlib import suppress
from typing import Final

from starlette.responses import Response

from sendryd.accounts.audit import make_entry
from sendryd.accounts.scheduled_reports import MAX_REPORTS
from sendryd.dashboard.app import Page
from sendryd.dashboard.mailedreports import scheduled_reports
from sendryd.dashboard.pages import analytics
from sendryd.dashboard.visit import Visit
from sendryd.message.errors import MalformedMessage
from sendryd.message.mailbox import parse_mailbox
from sendryd.model.ids import REPORT_PREFIX, ReportId, parse_id
from sendryd.model.report import ReportFrequency
from sendryd.policy.rights import Right
from sendryd.store.base import Store
from sendryd.store.errors import LimitReached, NotFound

MAX_RECIPIENTS: Final = 10  # of a report, as by REST


async def add(visit: Visit) -> Response:
    """`POST /analytics/reports`."""
    recipients = [each.strip() for each in visit.fields.get("recipients", "").replace("\n", ",").split(",") if each.strip()]
    if not recipients or len(recipients) > MAX_RECIPIENTS:
        return await analytics.show(visit, wrong=f"Enter 1 to {MAX_RECIPIENTS} addresses, with commas between them.", status=422)
    try:
        frequency = ReportFrequency(visit.fields.get("frequency", ""))
        for each in recipients:
            parse_mailbox(each)
    except MalformedMessage as error:
        return await analytics.show(visit, wrong=f"No report is sent: {error.reason}.", status=422)
    except ValueError:
        return visit.show("missing.html", "missing", {}, status=404)
    store = _audited(visit, "report.added", ", ".join(recipients), frequency=frequency.value)
    try:
        await scheduled_reports(visit, store).add(visit.account_id, frequency, recipients)
    except LimitReached:
        return await analytics.show(visit, wrong=f"There are {MAX_REPORTS} reports, the most that there may be: end one first.", status=409)
    return visit.go("/analytics#reports")


async def remove(visit: Visit) -> Response:
    """`POST /analytics/reports/{id}/remove`."""
    name = visit.request.path_params["id"]
    number = parse_id(name, REPORT_PREFIX)
    if number is not None:
        with suppress(NotFound):  # somebody else was faster
            await scheduled_reports(visit, _audited(visit, "report.removed", name)).remove(visit.account_id, ReportId(number))
    return visit.go("/analytics#reports")


def _audited(visit: Visit, action: str, target: str, **after: object) -> Store:
    needs = visit.needs
    return needs.store.audited(make_entry(visit.author, action, target, clock=needs.clock, ids=needs.ids, after=after))


PAGES: Final = (
    Page(path="/analytics/reports", post=add, needs_to_change=Right.ADMINISTER),
    Page(path="/analytics/reports/{id}/remove", post=remove, needs_to_change=Right.ADMINISTER),
)
