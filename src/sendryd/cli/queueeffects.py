"""`sendryd queue effects` and `relax`: suspensions and limits that the replies of a site have brought to it, and ending them."""

from datetime import datetime
from typing import Annotated

import typer
from typing_extensions import TypedDict

from sendryd.accounts.destinations import Destinations
from sendryd.api.framework.answers import page
from sendryd.app.build import Basics
from sendryd.cli.opening import AUTHOR, CommandFailed, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import command, print_json, print_table, say
from sendryd.model.moment import timestamp
from sendryd.policy.explain.words import clock, count
from sendryd.policy.shaping.effects import Effect
from sendryd.policy.shaping.limits import Rate


class EffectJson(TypedDict):
    """What the replies of a site have brought to it by a rule."""

    site: str
    rule: str
    suspends: bool
    connections: int | None
    connection_rate: str | None  # as the file of rules has it: 10/60s
    message_rate: str | None
    reply: str
    began_at: str
    ends_at: str
    gone_at: str  # a limit goes back after its end, evenly


def effects(as_json: Json = False) -> None:
    """List what replies have brought to sites by shaping rules: suspensions and limits, until when, and the reply."""

    async def work(basics: Basics) -> tuple[list[Effect], datetime]:
        return await _in_force(basics), basics.clock.now()

    found, now = with_store(work)
    if as_json:
        print_json(page([_json(each) for each in found], has_more=False))
        return
    print_table(
        ("site", "rule", "what", "until", "reply"),
        [(each.site, each.rule, _words(each), clock(each.ends_at, now), each.reply) for each in found],
        if_empty="No site is suspended or limited for what its servers said.",
    )


def relax(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A site, as queue effects lists it.")],
    rule: Annotated[str | None, typer.Option(metavar="NAME", help="Only what this rule has brought; else all of it.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    as_json: Json = False,
) -> None:
    """End what the replies of a site have brought to it: its mail is tried again at once, at the usual rate."""

    async def work(basics: Basics) -> int:
        destinations = Destinations(basics.store, basics.audit, clock=basics.clock, ids=basics.ids)
        rules = [each.rule for each in await _in_force(basics) if each.site == site.strip().lower()]
        ended = [await destinations.relax(site.strip().lower(), each, AUTHOR, reason=reason) for each in rules if rule in {None, each}]
        if not any(ended):
            what = f"the rule {rule} has brought nothing" if rule is not None else "replies have brought nothing"
            raise CommandFailed(f"{what} to the site {site}; {command('queue effects')} lists what they have")
        return sum(ended)

    number = with_store(work)
    if as_json:
        print_json({"count": number})
    else:
        say(f"The site {site} gets mail at its usual rate: {count(number, 'effect is', 'effects are')} ended.")


async def _in_force(basics: Basics) -> list[Effect]:
    now = basics.clock.now()
    return [each for each in await basics.store.list_shaping_effects() if each.is_over_at > now]


def _words(effect: Effect) -> str:
    limits = effect.limits
    words = [
        "suspended" if effect.suspends else "",
        count(limits.connections, "session at once", "sessions at once") if limits.connections is not None else "",
        f"new sessions: {limits.connection_rate}" if limits.connection_rate is not None else "",
        f"messages: {limits.message_rate}" if limits.message_rate is not None else "",
    ]
    return ", ".join(filter(None, words))


def _json(effect: Effect) -> EffectJson:
    limits = effect.limits
    return {
        "site": effect.site,
        "rule": effect.rule,
        "suspends": effect.suspends,
        "connections": limits.connections,
        "connection_rate": _rate(limits.connection_rate),
        "message_rate": _rate(limits.message_rate),
        "reply": effect.reply,
        "began_at": timestamp(effect.began_at),
        "ends_at": timestamp(effect.ends_at),
        "gone_at": timestamp(effect.is_over_at),
    }


def _rate(rate: Rate | None) -> str | None:
    return f"{rate.count}/{rate.seconds:g}s" if rate is not None else None
