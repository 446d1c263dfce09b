"""`sendryd queue suspend`, `resume`, `suspensions`: stopping the mail to a destination, of an account, or from an address."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from sendryd.accounts.destinations import Destinations
from sendryd.accounts.egress import EgressAddresses
from sendryd.accounts.suspensions import Suspensions
from sendryd.api.framework.answers import timestamp_or_none
from sendryd.app.build import DEFAULT_ACCOUNT, Basics
from sendryd.app.values import parse_period
from sendryd.cli import egress
from sendryd.cli.opening import AUTHOR, CommandFailed, duration, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import WRONG_USAGE, fail, print_json, print_table, say
from sendryd.model.ids import ORGANIZATION_PREFIX, AccountId, format_id, parse_id
from sendryd.model.moment import timestamp
from sendryd.policy.explain.words import clock
from sendryd.policy.routing import ANY_DOMAIN
from sendryd.smtp.address import AddressError, normalise_domain
from sendryd.store.base import EgressSuspension, PausedDestination, SuspendedAccount

NAME = "an operator"
DEFAULT = "default"
Domain = Annotated[str | None, typer.Option(metavar="NAME", help="A recipient domain: all mail to it, of every account.")]
Site = Annotated[str | None, typer.Option(metavar="NAME", help="A site, as queue show names it: the domains with the same mail servers.")]
Account = Annotated[str | None, typer.Option(metavar="ID", help="An account (org_…, or default): all its mail.")]
All = Annotated[bool, typer.Option("--all", help="All mail to every destination.")]


@dataclass(frozen=True, slots=True)
class Stop:
    """What is stopped: one of these."""

    domain: str | None
    site: str | None
    account: str | None
    everything: bool
    address: str | None
    pool: str | None

    @property
    def is_of_egress(self) -> bool:
        """Whether it is an address or a pool."""
        given = [self.domain, self.site, self.account, self.everything or None, self.address, self.pool]
        if sum(each is not None for each in given) != 1:
            raise typer.BadParameter("choose one of --domain, --site, --account, --all, --address and --pool")
        if self.account is not None and not self.account.strip():
            raise typer.BadParameter("--account: name one by its id org_…, or default")
        if self.site is not None and self.site.strip() in {"", ANY_DOMAIN}:
            raise typer.BadParameter("--site: name one as queue show does; --all is all mail")
        return self.address is not None or self.pool is not None

    @property
    def destination(self) -> str | None:
        """The destination; None for an account."""
        if self.everything:
            return ANY_DOMAIN
        if self.domain is None:
            return self.site.strip().lower() if self.site is not None else None
        try:
            return normalise_domain(self.domain)
        except AddressError:
            fail(f"{self.domain!r} is not a domain name such as example.com", WRONG_USAGE)


def suspend(
    domain: Domain = None,
    site: Site = None,
    account: Account = None,
    everything: All = False,
    address: egress.AddressOption = None,
    pool: egress.PoolOption = None,
    length: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="For how long, for example 2h; else until resumed.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit and for those who look at the mail.")] = "",
    as_json: Json = False,
) -> None:
    """Stop mail to a domain or a site, of an account, from an address or a pool, or all of it. New mail is accepted and waits."""
    what = Stop(domain, site, account, everything, address, pool)
    if what.is_of_egress:
        egress.suspend(address, pool, length, reason, as_json)
        return
    destination, period = what.destination, duration(length, parse_period)

    async def work(basics: Basics) -> int | None:
        if destination is None:
            changes = Suspensions(basics.store, basics.audit, clock=basics.clock)
            held = await changes.suspend(await _account(basics, account or ""), AUTHOR, name=NAME, length=period, reason=reason)
            if held is None:
                raise CommandFailed("the account is suspended already")
            return held
        if not await _destinations(basics).pause(destination, AUTHOR, name=NAME, length=period, reason=reason):
            raise CommandFailed("this mail is stopped already")
        return None

    held = with_store(work)
    if as_json:
        print_json({"suspended": True, "held": held})
    else:
        say(f"Stopped{f' for {length}' if length else ''}." + (f" {held} waiting deliveries are held." if held else ""))


def resume(
    domain: Domain = None,
    site: Site = None,
    account: Account = None,
    everything: All = False,
    address: egress.AddressOption = None,
    pool: egress.PoolOption = None,
    reason: egress.ReasonOption = "",
    as_json: Json = False,
) -> None:
    """Let mail go on that was stopped."""
    what = Stop(domain, site, account, everything, address, pool)
    if what.is_of_egress:
        egress.resume(address, pool, reason, as_json)
        return
    destination = what.destination

    async def work(basics: Basics) -> int | None:
        if destination is None:
            changes = Suspensions(basics.store, basics.audit, clock=basics.clock)
            released = await changes.resume(await _account(basics, account or ""), AUTHOR)
            if released is None:
                raise CommandFailed("the account is not suspended")
            return released
        if not await _destinations(basics).resume(destination, AUTHOR):
            raise CommandFailed("this mail is not stopped")
        return None

    released = with_store(work)
    if as_json:
        print_json({"suspended": False, "released": released})
    else:
        say("It goes on." + (f" {released} deliveries are due now." if released else ""))


def suspensions(as_json: Json = False) -> None:
    """List what is stopped: destinations, accounts, addresses and pools; by whom, until when, why."""

    async def work(basics: Basics) -> tuple[list[tuple[Any, ...]], datetime]:
        now = basics.clock.now()
        paused = [each for each in await basics.store.list_paused_destinations() if not each.is_over(now)]
        suspended = [each for each in await basics.store.list_suspended_accounts() if not each.is_over(now)]
        egresses = await EgressAddresses(basics.store, basics.audit, basics.settings.egress, clock=basics.clock).suspensions()
        rows: list[tuple[str, str, PausedDestination | SuspendedAccount | EgressSuspension]] = [
            ("all" if each.domain == ANY_DOMAIN else "destination", each.domain, each) for each in paused
        ]
        rows += [("account", format_id(ORGANIZATION_PREFIX, each.account_id), each) for each in suspended]
        rows += [(each.kind.value, each.name, each) for each in egresses]
        return [(what, name, each.by, each.since, each.until, each.reason) for what, name, each in rows], now

    found, now = with_store(work)
    if as_json:
        print_json({"data": [_row(*each) for each in found], "has_more": False, "next_cursor": None})
        return
    print_table(
        ("what", "name", "by", "since", "until", "reason"),
        [
            (what, name, by, clock(since, now), clock(until, now) if until else "it is resumed", reason or "-")
            for what, name, by, since, until, reason in found
        ],
        if_empty="Nothing is stopped.",
    )


def _row(what: str, name: str, by: str, since: datetime, until: datetime | None, reason: str) -> dict[str, Any]:
    return {"what": what, "name": name, "by": by, "since": timestamp(since), "until": timestamp_or_none(until), "reason": reason or None}


async def _account(basics: Basics, text: str) -> AccountId:
    number = DEFAULT_ACCOUNT if text == DEFAULT else parse_id(text, ORGANIZATION_PREFIX)
    account = await basics.store.get_account(AccountId(number)) if number is not None else None
    if account is None:
        raise CommandFailed(f"there is no account {text}")
    return account.id


def _destinations(basics: Basics) -> Destinations:
    return Destinations(basics.store, basics.audit, clock=basics.clock, ids=basics.ids)
