"""`sendryd queue reroute`: sends waiting mail another way than its domain's settings say."""

import asyncio
import sys
from dataclasses import replace
from typing import Annotated

import typer

from sendryd.accounts.destinations import Destinations, Way
from sendryd.accounts.errors import BadField
from sendryd.app.build import Basics
from sendryd.cli.opening import AUTHOR, CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import fail, print_json, say
from sendryd.cli.queuechoice import Choice, Domain, OlderThan, OptionalTarget, Reason, State, Yes, count_words
from sendryd.model.delivery import WAITING_STATES


def reroute(
    target: OptionalTarget = None,
    pool: Annotated[str | None, typer.Option(metavar="NAME", help="From the addresses of this pool of SENDRYD_EGRESS.")] = None,
    smarthost: Annotated[
        str | None, typer.Option(metavar="URL", help="To this smart host: smtp://, smtps:// or smtp+notls:// and USER:PASSWORD@HOST:PORT.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="By the settings of their sending domains again.")] = False,
    domain: Domain = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Send waiting deliveries another way: from an address pool, to a smart host, or back to their own way. They are due now.

    They keep the way until they are delivered or rerouted. New mail goes by the settings. An attempt under way goes on.
    """
    if sum(each is not None for each in (pool, smarthost, back or None)) != 1 or "" in {pool, smarthost}:
        raise typer.BadParameter("choose one of --pool, --smarthost and --back")
    choice = Choice(target, domain, state, older_than, reason)
    choice.check()
    way = Way(pool=pool or "", smart_host=smarthost or "")

    async def work(basics: Basics) -> int | None:
        if pool is not None and pool not in basics.settings.egress:
            known = ", ".join(basics.settings.egress)
            raise CommandFailed(f"SENDRYD_EGRESS has no pool {pool}: {f'it has {known}' if known else 'it is empty'}")
        which = await choice.find(basics)
        which = replace(which, states=(which.states or WAITING_STATES) & WAITING_STATES)
        if not which.states:
            return 0
        if target is None and not yes and sys.stdin.isatty():
            number = len(await basics.store.find_deliveries(which))
            if number and not await asyncio.to_thread(typer.confirm, f"{count_words(number)} will be rerouted. Go on?", err=True):
                return None
        destinations = Destinations(basics.store, basics.audit, clock=basics.clock, ids=basics.ids)
        try:
            return await destinations.reroute(which, way, AUTHOR, target=target or choice.words, reason=reason)
        except BadField as error:
            raise CommandFailed(str(error)) from None

    number = with_store(work)
    if number is None:
        fail("nothing was changed")
    if as_json:
        print_json({"count": number})
    else:
        say(f"{count_words(number)} rerouted.")
