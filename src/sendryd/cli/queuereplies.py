"""`sendryd queue replies`: replies of receiving servers that no pattern knows."""

from typing import Annotated, Any, Final

import typer

from sendryd.cli.opening import CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import print_json, print_table, say
from sendryd.model.moment import timestamp

LISTED: Final = 1_000  # as many as are kept


def replies(
    forget: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Delete this reply from the list, written as the list shows it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List replies of receiving servers whose words sendryd does not know, the most frequent first; addresses and ids are left out.

    Their bare code decides what becomes of the mail. CONTRIBUTING.md says how a reply is added to the table.
    """
    if forget is not None:
        if not with_store(lambda basics: basics.store.forget_unknown_reply(forget)):
            raise CommandFailed("there is no such reply in the list")
        if as_json:
            print_json({"forgotten": forget})
        else:
            say("The reply is off the list until it comes again.")
        return
    found = with_store(lambda basics: basics.store.list_unknown_replies(limit=LISTED))
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "reply": each.shape,
                "count": each.number,
                "host": each.host or None,
                "first_seen_at": timestamp(each.first_at),
                "last_seen_at": timestamp(each.last_at),
            }
            for each in found
        ]
        print_json({"data": rows, "has_more": False, "next_cursor": None})
        return
    print_table(
        ("count", "last seen", "host", "reply"),
        [(str(each.number), timestamp(each.last_at), each.host or "-", each.shape) for each in found],
        if_empty="Every reply so far was one that sendryd knows.",
    )
