"""`sendryd reports`: what other mail servers report about our domains."""

from typing import Annotated, Any, Final

import typer

from sendryd.api.framework.answers import page
from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.cli.opening import CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import command, print_json, print_line, print_table, say
from sendryd.model.domainreport import DomainReport, ReportTopic
from sendryd.model.ids import DOMAIN_REPORT_PREFIX, DomainReportId, format_id, parse_id
from sendryd.model.moment import timestamp

app = typer.Typer(name="reports", no_args_is_help=True, help="List DMARC and TLS reports that other mail servers sent about our domains.")

STEP: Final = 200  # rows read at once


@app.command("list")
def list_reports(
    domain: Annotated[str | None, typer.Option(metavar="NAME", help="Only reports about this domain.")] = None,
    topic: Annotated[ReportTopic | None, typer.Option(help="Only reports about this.")] = None,
    as_json: Json = False,
) -> None:
    """List reports, newest first."""

    async def work(basics: Basics) -> list[DomainReport]:
        found: list[DomainReport] = []
        has_more, before, name = True, None, domain.lower() if domain else None
        while has_more:
            read = await basics.store.page_domain_reports(DEFAULT_ACCOUNT, domain=name, topic=topic, rows=0, limit=STEP, before=before)
            found += read.items
            has_more, before = read.has_more, found[-1].id if found else None
        return found

    found = with_store(work)
    if as_json:
        print_json(page([_json(each, has_rows=False) for each in found], has_more=False))
        return
    print_table(
        ("id", "about", "domain", "by", "until", "good", "bad", "sender"),
        [
            (
                format_id(DOMAIN_REPORT_PREFIX, each.id),
                each.content.topic.value,
                each.content.domain,
                each.content.reporter,
                timestamp(each.content.ends_at),
                str(each.content.good),
                str(each.content.bad),
                "proved" if each.is_authenticated else "not proved",
            )
            for each in found
        ],
        if_empty=f"There are no reports; {command('domains show NAME')} prints the records that ask for them.",
    )


@app.command()
def show(
    report_id: Annotated[str, typer.Argument(metavar="ID", help="A report, as `reports list` prints it.")], as_json: Json = False
) -> None:
    """Print the rows of one report."""

    async def work(basics: Basics) -> DomainReport:
        number = parse_id(report_id, DOMAIN_REPORT_PREFIX)
        found = await basics.store.get_domain_report(DEFAULT_ACCOUNT, DomainReportId(number)) if number is not None else None
        if found is None:
            raise CommandFailed(f"there is no report {report_id}; {command('reports list')} lists them")
        return found

    report = with_store(work)
    if as_json:
        print_json(_json(report, has_rows=True))
        return
    content = report.content
    proof = "" if report.is_authenticated else " Neither SPF nor DKIM prove its sender: anybody may have written it."
    sender = f" Sent by {report.author}." if report.author else ""
    say(
        f"{content.topic.value.upper()} report of {content.reporter} about {content.domain}: {content.good} good, {content.bad} bad.{sender}{proof}"
    )
    for row in content.rows:
        details = " ".join(f"{name}={value}" for name, value in row.details.items())
        print_line(str(row.number), "good" if row.is_good else "bad", row.source or "-", details)


def _json(report: DomainReport, *, has_rows: bool) -> dict[str, Any]:
    content = report.content
    body: dict[str, Any] = {
        "id": format_id(DOMAIN_REPORT_PREFIX, report.id),
        "topic": content.topic.value,
        "domain": content.domain,
        "reporter": content.reporter,
        "report_id": content.report_key,
        "begins_at": timestamp(content.begins_at),
        "ends_at": timestamp(content.ends_at),
        "good": content.good,
        "bad": content.bad,
        "policy": content.policy,
        "sender": report.author,
        "is_authenticated": report.is_authenticated,
        "created_at": timestamp(report.created_at),
    }
    if has_rows:
        rows = [{"number": row.number, "is_good": row.is_good, "source": row.source, "details": dict(row.details)} for row in content.rows]
        body["rows"] = rows
    return body
