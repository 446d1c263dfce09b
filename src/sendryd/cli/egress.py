"""`sendryd queue suspend|resume|addresses`: the addresses that mail leaves from."""

from datetime import datetime
from typing import Annotated, TypedDict

import typer

from sendryd.accounts.egress import AddressState, EgressAddresses, ends, suspension_lines
from sendryd.accounts.errors import BadField
from sendryd.api.framework.answers import page, timestamp_or_none
from sendryd.app.build import Basics
from sendryd.app.values import parse_period
from sendryd.cli.opening import AUTHOR, CommandFailed, duration, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import command, print_json, print_table, say
from sendryd.model.moment import timestamp
from sendryd.store.base import EgressKind, EgressSuspension

AddressOption = Annotated[str | None, typer.Option(metavar="IP", help="An address of SENDRYD_EGRESS.")]
PoolOption = Annotated[str | None, typer.Option(metavar="NAME", help="A pool of SENDRYD_EGRESS.")]
ReasonOption = Annotated[str, typer.Option(help="Why, for the audit; the reason of a suspension is also shown with the mail that waits.")]


class SuspensionJson(TypedDict):
    """A suspended address or pool."""

    kind: str
    name: str
    by: str
    since: str
    until: str | None
    reason: str | None


class AddressJson(TypedDict):
    """An address of a pool."""

    pool: str
    address: str
    hello_name: str
    weight: int
    warmup_from: str | None
    cap: int | None
    sent: dict[str, int]
    suspension: SuspensionJson | None


def _addresses(basics: Basics) -> EgressAddresses:
    return EgressAddresses(basics.store, basics.audit, basics.settings.egress, clock=basics.clock)


def _target(address: str | None, pool: str | None) -> tuple[EgressKind, str]:
    if (address is None) == (pool is None):
        raise typer.BadParameter("name one of --address and --pool")
    return (EgressKind.ADDRESS, address) if address is not None else (EgressKind.POOL, pool or "")


def suspend(
    address: AddressOption = None,
    pool: PoolOption = None,
    length: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="For how long, for example 2h; else until resumed.")
    ] = None,
    reason: ReasonOption = "",
    as_json: Json = False,
) -> None:
    """Let no mail leave from an address or a pool. Mail goes from another address of its pool, or waits."""
    kind, name = _target(address, pool)
    period = duration(length, parse_period)

    async def work(basics: Basics) -> tuple[EgressSuspension, datetime]:
        try:
            return await _addresses(basics).suspend(kind, name, AUTHOR, length=period, reason=reason), basics.clock.now()
        except BadField as error:
            raise CommandFailed(str(error)) from None

    suspension, now = with_store(work)
    if as_json:
        print_json(_suspension_json(suspension))
    else:
        say(f"The {kind.value} {suspension.name} is suspended {ends(suspension.until, now)}.")


def resume(address: AddressOption = None, pool: PoolOption = None, reason: ReasonOption = "", as_json: Json = False) -> None:
    """Let mail leave from a suspended address or pool again. Mail that waits for it is due now."""
    kind, name = _target(address, pool)

    async def work(basics: Basics) -> int:
        try:
            number = await _addresses(basics).resume(kind, name, AUTHOR, reason=reason)
        except BadField as error:
            raise CommandFailed(str(error)) from None
        if number is None:
            raise CommandFailed(f"the {kind.value} {name} is not suspended; {command('queue addresses')} lists what is")
        return number

    number = with_store(work)
    if as_json:
        print_json({"count": number})
    else:
        say(f"The {kind.value} {name} is resumed; {number} waiting {'delivery is' if number == 1 else 'deliveries are'} due now.")


def addresses(as_json: Json = False) -> None:
    """List the addresses that mail leaves from: pool, EHLO name, warm-up of today, suspension."""

    async def work(basics: Basics) -> tuple[list[AddressState], datetime]:
        return await _addresses(basics).states(), basics.clock.now()

    states, now = with_store(work)
    if as_json:
        print_json(page([_address_json(each) for each in states], has_more=False))
        return
    print_table(
        ("pool", "address", "name", "weight", "today", "state"),
        [
            (each.pool, each.source.address, each.source.hello_name, str(each.source.weight), each.today, _state(each.suspension, now))
            for each in states
        ],
        if_empty="SENDRYD_EGRESS lists no addresses: the system chooses the one that mail leaves from.",
    )


async def say_suspensions(basics: Basics) -> list[str]:
    """A line for each suspended address and pool, for the list of the queue."""
    return suspension_lines(await basics.store.list_egress_suspensions(), basics.clock.settled())


def _state(suspension: EgressSuspension | None, now: datetime) -> str:
    if suspension is None:
        return "in use"
    which = "pool suspended" if suspension.kind is EgressKind.POOL else "suspended"
    return f"{which} {ends(suspension.until, now)}{f': {suspension.reason}' if suspension.reason else ''}"


def _suspension_json(suspension: EgressSuspension) -> SuspensionJson:
    return {
        "kind": suspension.kind.value,
        "name": suspension.name,
        "by": suspension.by,
        "since": timestamp(suspension.since),
        "until": timestamp_or_none(suspension.until),
        "reason": suspension.reason or None,
    }


def _address_json(state: AddressState) -> AddressJson:
    source = state.source
    return {
        "pool": state.pool,
        "address": source.address,
        "hello_name": source.hello_name,
        "weight": source.weight,
        "warmup_from": source.warmup_from.isoformat() if source.warmup_from else None,
        "cap": state.cap,
        "sent": state.sent,
        "suspension": _suspension_json(state.suspension) if state.suspension else None,
    }
