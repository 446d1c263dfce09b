"""`sendryd suppressions`: list, add, remove, import and export suppressed addresses."""

import csv
import sys
from collections.abc import Iterable
from typing import Annotated, Final

import typer

from sendryd.accounts.suppressions import MAX_IMPORT, BadAddress, read_address
from sendryd.api.suppressions.schema import COLUMNS, csv_row, suppression_json, suppressions_page
from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.cli.opening import AUTHOR, CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import explain, fail, print_json, print_table, say
from sendryd.model.ids import SuppressionId
from sendryd.model.suppression import Suppression, SuppressionReason
from sendryd.policy.address_key import normalise_address
from sendryd.store.errors import NotFound
from sendryd.web.tables import csv_text, unguard

app = typer.Typer(name="suppressions", no_args_is_help=True, help="List, add, remove, import and export suppressed addresses.")

STEP: Final = 1000  # rows read at once

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An address, for example ann@example.com.")]
Reason = Annotated[SuppressionReason, typer.Option(help="Why the address is suppressed.")]
OneReason = Annotated[SuppressionReason | None, typer.Option("--reason", help="Only addresses with this reason.")]


async def _read_all(basics: Basics, text: str | None, reason: SuppressionReason | None) -> list[Suppression]:
    found: list[Suppression] = []
    before: SuppressionId | None = None
    has_more = True
    while has_more:
        page = await basics.store.page_suppressions(
            DEFAULT_ACCOUNT, text=normalise_address(text) if text else None, reason=reason, limit=STEP, before=before
        )
        found += page.items
        has_more, before = page.has_more, found[-1].id if found else None
    return found


@app.command("list")
def list_suppressions(
    text: Annotated[str | None, typer.Option("--search", metavar="TEXT", help="Only addresses that contain this text.")] = None,
    reason: OneReason = None,
    as_json: Json = False,
) -> None:
    """List suppressed addresses, newest first."""
    found = with_store(lambda basics: _read_all(basics, text, reason))
    if as_json:
        print_json(suppressions_page(found, has_more=False))
    else:
        print_table(
            COLUMNS,
            [csv_row(each) for each in found],
            if_empty="No suppressed address matches." if text or reason else "No address is suppressed.",
        )


@app.command()
def add(address: Address, reason: Reason = SuppressionReason.MANUAL, as_json: Json = False) -> None:
    """Suppress an address; one that is suppressed already keeps its entry."""

    async def work(basics: Basics) -> Suppression:
        try:
            return await basics.lists.by(AUTHOR).suppress(DEFAULT_ACCOUNT, address, reason)
        except BadAddress as error:
            raise CommandFailed(f"{address}: {error}") from None

    suppression = with_store(work)
    if as_json:
        print_json(suppression_json(suppression))
    else:
        say(f"{suppression.email} is suppressed ({suppression.reason.value}).")


@app.command()
def remove(address: Address, as_json: Json = False) -> None:
    """Lift the suppression of an address."""

    async def work(basics: Basics) -> None:
        try:
            await basics.lists.by(AUTHOR).lift_suppression(DEFAULT_ACCOUNT, address)
        except NotFound:
            raise CommandFailed(f"{address} is not suppressed") from None

    with_store(work)
    if as_json:
        print_json({"deleted": True})
    else:
        say(f"{address} is no longer suppressed.")


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Addresses in lines, or CSV as export writes it; - is standard input.")],
    reason: Reason = SuppressionReason.MANUAL,
    as_json: Json = False,
) -> None:
    """Suppress all addresses of a file, or none if a line is invalid."""
    entries = _read_file(file, reason)

    async def work(basics: Basics) -> int:
        inserted = 0
        for first in range(0, len(entries), MAX_IMPORT):
            inserted += await basics.lists.by(AUTHOR).import_suppressions(DEFAULT_ACCOUNT, entries[first : first + MAX_IMPORT])
        return inserted

    inserted = with_store(work)
    if as_json:
        print_json({"inserted": inserted, "total": len(entries)})
    else:
        say(f"{inserted} of {len(entries)} addresses are new.")


@app.command()
def export(reason: OneReason = None, as_json: Json = False) -> None:
    """Print the list as CSV, safe to open in a spreadsheet."""
    found = with_store(lambda basics: _read_all(basics, None, reason))
    if as_json:
        print_json(suppressions_page(found, has_more=False))
        return
    sys.stdout.write(csv_text([COLUMNS, *(csv_row(each) for each in found)]))


def _read_file(name: str, reason: SuppressionReason) -> list[tuple[str, SuppressionReason]]:
    try:
        if name == "-":
            return _read_rows(csv.reader(sys.stdin), reason)
        with open(name, encoding="utf-8-sig", newline="") as file:
            return _read_rows(csv.reader(file), reason)
    except OSError as error:
        fail(explain(error))
    except UnicodeDecodeError:
        fail(f"{name} is not UTF-8 text")
    except csv.Error as error:
        fail(f"{name} is not CSV: {error}")


def _read_rows(rows: Iterable[list[str]], reason: SuppressionReason) -> list[tuple[str, SuppressionReason]]:
    """The addresses, each with its row's reason or the given one."""
    columns = {"email": 0}
    entries: list[tuple[str, SuppressionReason]] = []
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if not entries and "email" in map(str.lower, cells):
            columns = {cell.lower(): place for place, cell in enumerate(cells)}
            continue
        entries.append(_read_row(number, cells, columns, reason))
    return entries


def _read_row(number: int, cells: list[str], columns: dict[str, int], reason: SuppressionReason) -> tuple[str, SuppressionReason]:
    values = {name: cells[place] for name, place in columns.items() if place < len(cells)}
    word = values.get("reason")
    try:
        return read_address(unguard(values.get("email", ""))), SuppressionReason(word) if word else reason
    except BadAddress as error:
        fail(f"line {number}: {error}")
    except ValueError:
        fail(f"line {number}: the reason is one of {', '.join(SuppressionReason)}")
