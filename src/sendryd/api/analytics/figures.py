"""The JSON of figures: model values in, plain data out. Pure."""

from datetime import datetime
from typing import Final

from sendryd.api.framework.answers import Json
from sendryd.model.ids import DOMAIN_PREFIX, REPORT_PREFIX, TEMPLATE_PREFIX, format_id
from sendryd.model.moment import timestamp
from sendryd.model.report import Breakdown, Cohort, Counts, Granularity, ScheduledReport
from sendryd.policy.figures import percent_change, rate_change, rates_of

_PREFIXES: Final = {"domain": DOMAIN_PREFIX, "template": TEMPLATE_PREFIX}


def stretch_text(start: datetime, granularity: Granularity) -> str:
    """The name of a stretch of time: the date that it begins on, or of an hour the time."""
    return timestamp(start) if granularity is Granularity.HOUR else start.date().isoformat()


def counts_json(counts: Counts) -> Json:
    """Counts."""
    return {
        "sent": counts.sent,
        "delivered": counts.delivered,
        "opened": counts.opened,
        "clicked": counts.clicked,
        "bounced": counts.bounced,
        "complained": counts.complained,
        "inbound_received": 0,  # mail that comes in is not received here
    }


def period_json(counts: Counts) -> Json:
    """Counts and rates."""
    rates = rates_of(counts)
    return {
        **counts_json(counts),
        "delivery_rate": rates.delivery,
        "open_rate": rates.open,
        "click_rate": rates.click,
        "bounce_rate": rates.bounce,
        "complaint_rate": rates.complaint,
    }


def changes_json(before: Counts, now: Counts) -> Json:
    """How much counts and rates differ."""
    rates, old = rates_of(now), rates_of(before)
    return {
        "sent_pct": percent_change(before.sent, now.sent),
        "delivered_pct": percent_change(before.delivered, now.delivered),
        "opened_pct": percent_change(before.opened, now.opened),
        "clicked_pct": percent_change(before.clicked, now.clicked),
        "bounced_pct": percent_change(before.bounced, now.bounced),
        "complained_pct": percent_change(before.complained, now.complained),
        "delivery_rate_delta": rate_change(old.delivery, rates.delivery),
        "open_rate_delta": rate_change(old.open, rates.open),
        "click_rate_delta": rate_change(old.click, rates.click),
        "bounce_rate_delta": rate_change(old.bounce, rates.bounce),
        "complaint_rate_delta": rate_change(old.complaint, rates.complaint),
    }


def cohort_json(cohort: Cohort, granularity: Granularity, metric: str) -> Json:
    """What had become of the mail of one stretch of time, so many stretches later."""
    return {
        "cohort_date": stretch_text(cohort.start, granularity),
        "period_offset": cohort.offset,
        "total_sent": cohort.counts.sent,
        "metric_value": period_json(cohort.counts)[metric],
    }


def breakdown_json(row: Breakdown, group_by: str) -> Json:
    """The figures of one domain or template."""
    period = period_json(row.counts)
    left_out = ("inbound_received", "bounce_rate", "complaint_rate")
    return {
        "id": None if row.id is None else format_id(_PREFIXES[group_by], row.id),
        "name": row.name,
        **{name: value for name, value in period.items() if name not in left_out},
    }


def report_json(report: ScheduledReport) -> Json:
    """A report that is sent again and again."""
    return {
        "id": format_id(REPORT_PREFIX, report.id),
        "frequency": report.frequency.value,
        "recipients": list(report.recipients),
        "next_at": timestamp(report.due_at),
        "created_at": timestamp(report.created_at),
    }
