"""`sendryd queue`: lists waiting deliveries, says why each waits, and changes them."""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Final

import typer

from sendryd.accounts.destinations import DestinationChange, Destinations
from sendryd.accounts.errors import BadField
from sendryd.accounts.explanations import explain_delivery, read_surroundings
from sendryd.api.framework.answers import page
from sendryd.app.build import Basics
from sendryd.cli import egress
from sendryd.cli.deliveries import ExplainedDelivery, delivery_json, delivery_word, dialogue_rows, explained_delivery_json, place_of
from sendryd.cli.opening import AUTHOR, CommandFailed, duration, with_store
from sendryd.cli.options import Json
from sendryd.cli.output import WRONG_USAGE, fail, print_json, print_line, print_table, say
from sendryd.cli.queuechoice import (
    Choice,
    Domain,
    OlderThan,
    OptionalTarget,
    Reason,
    State,
    Yes,
    count_words,
    destination_of,
    filter_of,
    states_of,
)
from sendryd.cli.queueeffects import effects, relax
from sendryd.cli.queuereplies import replies
from sendryd.cli.queuereroute import reroute
from sendryd.cli.queuesuspend import resume, suspend, suspensions
from sendryd.model.delivery import WAITING_STATES, DeliveryState
from sendryd.model.event import Event
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, format_id
from sendryd.model.message import MessageClass
from sendryd.model.moment import timestamp
from sendryd.policy.detour import detour_words
from sendryd.smtp.address import AddressError, normalise_domain
from sendryd.store.base import EventFilter, QueuedDelivery, QueueFilter, TraceRequest

app = typer.Typer(
    name="queue",
    no_args_is_help=True,
    help="List, explain and change deliveries; stop destinations and accounts.",
)

app.command()(replies)
app.command()(suspend)
app.command()(resume)
app.command()(suspensions)
app.command()(egress.addresses)
app.command()(reroute)
app.command()(effects)
app.command()(relax)

TRACED: Final = 5  # sessions of a trace: enough to see one host fail and the next one answer
MAX_TRACED: Final = 1000  # a transcript is for a person to read
Target = Annotated[str, typer.Argument(metavar="ID", help="A message (em_…) or one delivery (dlv_…).")]


@app.command("list")
def list_queue(domain: Domain = None, state: State = None, older_than: OlderThan = None, as_json: Json = False) -> None:
    """List waiting deliveries, or those in another --state."""
    toward, states, age = destination_of(domain), states_of(state), duration(older_than)

    async def work(basics: Basics) -> tuple[list[QueuedDelivery], list[str]]:
        which = QueueFilter(
            toward=toward,
            states=states,
            created_before=basics.clock.now() - age if age is not None else None,
        )
        found = await basics.store.list_queue(which)
        matching = [each for each in found if state is None or delivery_word(each.state, each.attempts) == state]
        return matching, await egress.say_suspensions(basics)

    found, suspended = with_store(work)
    items = [delivery_json(each) for each in found]
    if as_json:
        print_json(page(items, has_more=False))
        return
    print_table(
        ("id", "message", "recipient", "state", "attempts", "due", "last reply"),
        [
            (
                item["id"],
                item["email_id"],
                item["recipient"],
                item["state"],
                str(item["attempts"]),
                item["due_at"],
                item["last_reply"] or "",
            )
            for item in items
        ],
        if_empty="The queue is empty." if domain is state is older_than is None else "No delivery matches.",
    )
    for line in suspended:
        say(line)


@app.command()
def show(target: Target, as_json: Json = False) -> None:
    """Show deliveries with every attempt, what was said in it, and why they wait."""

    async def work(basics: Basics) -> list[ExplainedDelivery]:
        deliveries = await basics.store.list_queue(filter_of(target))
        if not deliveries:
            raise CommandFailed(f"there is no {target}")
        message = deliveries[0].message
        which = EventFilter(mode=message.mode, message_id=message.id)
        events: list[Event] = []
        while True:
            before = events[-1].id if events else None
            found = await basics.store.list_events(message.account_id, which, limit=1000, before=before)
            events += found.items
            if not found.has_more:
                break
        now = basics.clock.now()
        lifetime = basics.settings.max_queue_age
        around = await read_surroundings(basics.store, {each.domain for each in deliveries}, now, of=deliveries)
        explained = [explain_delivery(each, events, now, lifetime=lifetime, around=around) for each in deliveries]
        dialogues = await basics.dialogues.read_dialogues({place_of(event) for event in events})
        return [
            explained_delivery_json(each, words.text, events, dialogues, site=around.site(each.domain))
            for each, words in zip(deliveries, explained, strict=True)
        ]

    found = with_store(work)
    if as_json:
        print_json(found[0] if len(found) == 1 and target.startswith(DELIVERY_PREFIX) else page(found, has_more=False))
        return
    for item in found:
        print_line(item["id"], item["recipient"], item["state"], item["explanation"])
        if item["site"]:
            print_line("  site", item["site"])
        if item["detour"]:
            print_line("  rerouted", detour_words(item["detour"]))
        for event in item["attempts_made"]:
            metadata = event["metadata"]
            reply = metadata.get("reply") or metadata.get("reason", "")
            source = f" from {metadata['source']}" if "source" in metadata else ""
            print_line(f"  {event['created_at']}", event["type"], f"{metadata.get('host', '-')}{source}", str(reply))
            for cells in dialogue_rows(event):
                print_line(f"    {cells[0]}", cells[1])


_DONE: Final = {
    DestinationChange.TRY_NOW: "due now",
    DestinationChange.HOLD: "held",
    DestinationChange.RELEASE: "released",
    DestinationChange.CANCEL: "cancelled",
    DestinationChange.BOUNCE: "returned",
}
_CHANGED_STATES: Final = {
    DestinationChange.TRY_NOW: frozenset({DeliveryState.QUEUED}),
    DestinationChange.HOLD: frozenset({DeliveryState.QUEUED, DeliveryState.HELD}),
    DestinationChange.RELEASE: frozenset({DeliveryState.HELD}),
    DestinationChange.CANCEL: frozenset({DeliveryState.QUEUED, DeliveryState.HELD}),
    DestinationChange.BOUNCE: frozenset({DeliveryState.QUEUED, DeliveryState.HELD}),
}


def _change(change: DestinationChange, choice: Choice, *, is_agreed: bool, as_json: bool) -> None:
    """Changes the chosen deliveries, and prints their number. A person at a terminal who has chosen by options sees the number first."""
    choice.check()
    does_ask = choice.target is None and not is_agreed and sys.stdin.isatty()

    async def work(basics: Basics) -> int | None:
        which = await choice.find(basics)
        found = await basics.store.list_queue(filter_of(choice.target), limit=1) if choice.target is not None else []
        chosen = replace(which, states=(which.states or WAITING_STATES) & _CHANGED_STATES[change])
        if not chosen.states:
            return 0
        if does_ask and not await asyncio.to_thread(_does_agree, change, len(await basics.store.find_deliveries(chosen))):
            return None
        destinations = Destinations(basics.store, basics.audit, clock=basics.clock, ids=basics.ids)
        if not found:
            return await destinations.change_chosen(chosen, change, AUTHOR, target=choice.words, reason=choice.reason)
        message = found[0].message
        return await destinations.change_chosen(
            chosen,
            change,
            replace(AUTHOR, account_id=message.account_id),
            target=format_id(MESSAGE_PREFIX, message.id),
            action=change.value.replace("queue.", "email."),
            reason=choice.reason,
        )

    count = with_store(work)
    if count is None:
        fail("nothing was changed")
    if as_json:
        print_json({"count": count})
    else:
        say(f"{count_words(count)} {_DONE[change]}.")


def _does_agree(change: DestinationChange, count: int) -> bool:
    return count == 0 or typer.confirm(f"{count_words(count)} will be {_DONE[change]}. Go on?", err=True)


@app.command()
def retry(
    target: OptionalTarget = None,
    domain: Domain = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make waiting deliveries due now."""
    _change(DestinationChange.TRY_NOW, Choice(target, domain, state, older_than, reason), is_agreed=yes, as_json=as_json)


@app.command()
def trace(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="A recipient domain.")],
    sessions: Annotated[int, typer.Option(min=1, max=MAX_TRACED, help="How many sessions.")] = TRACED,
    within: Annotated[str, typer.Option("--for", metavar="DURATION", help="For how long at most, for example 10m.")] = "1h",
    as_json: Json = False,
) -> None:
    """Log the next SMTP sessions with a domain's mail servers line by line, in the log of `serve`; without content and passwords."""
    try:
        name = normalise_domain(domain)
    except AddressError:
        fail(f"{domain!r} is not a domain name such as example.com", WRONG_USAGE)
    period = duration(within)

    async def work(basics: Basics) -> TraceRequest:
        request = TraceRequest(domain=name, sessions=sessions, until=basics.clock.now() + (period or timedelta()))
        await basics.store.add_trace(request)
        return request

    request = with_store(work)
    if as_json:
        print_json({"domain": request.domain, "sessions": request.sessions, "until": timestamp(request.until)})
    else:
        say(f"The next {request.sessions} sessions with {request.domain} go to the log of serve, until {timestamp(request.until)}.")


@app.command()
def hold(
    target: OptionalTarget = None,
    domain: Domain = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Hold waiting deliveries until they are released."""
    _change(DestinationChange.HOLD, Choice(target, domain, state, older_than, reason), is_agreed=yes, as_json=as_json)


@app.command()
def release(
    target: OptionalTarget = None,
    domain: Domain = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Release held deliveries; they are due now, or at their scheduled time."""
    _change(DestinationChange.RELEASE, Choice(target, domain, state, older_than, reason), is_agreed=yes, as_json=as_json)


@app.command()
def cancel(
    target: OptionalTarget = None,
    domain: Domain = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Cancel waiting and held deliveries; an attempt under way goes on."""
    _change(DestinationChange.CANCEL, Choice(target, domain, state, older_than, reason), is_agreed=yes, as_json=as_json)


@app.command()
def bounce(
    target: OptionalTarget = None,
    domain: Domain = None,
    state: State = None,
    older_than: OlderThan = None,
    reason: Reason = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Return waiting and held deliveries as bounced, with the reason in their events; no address is suppressed."""
    if not reason.strip():
        raise typer.BadParameter("say why with --reason: the senders read it")
    _change(DestinationChange.BOUNCE, Choice(target, domain, state, older_than, reason), is_agreed=yes, as_json=as_json)


@app.command()
def reprioritise(
    priority: Annotated[MessageClass, typer.Argument(metavar="CLASS", help="transactional or bulk.")],
    target: OptionalTarget = None,
    domain: Domain = None,
    older_than: OlderThan = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Give waiting and held deliveries another class, which decides whose turn it is."""
    choice = Choice(target, domain, None, older_than, reason)
    if choice.is_empty:
        raise typer.BadParameter("name a message or a delivery, or choose with --domain or --older-than")
    which, toward, age = filter_of(target) if target is not None else QueueFilter(), destination_of(domain), duration(older_than)

    async def work(basics: Basics) -> int:
        if target is not None and not await basics.store.list_queue(which, limit=1):
            raise CommandFailed(f"there is no {target}")
        created_before = basics.clock.now() - age if age is not None else None
        chosen = replace(which, toward=toward, created_before=created_before)
        destinations = Destinations(basics.store, basics.audit, clock=basics.clock, ids=basics.ids)
        try:
            return await destinations.reprioritise(chosen, priority, AUTHOR, target=target or choice.words, reason=reason)
        except BadField as error:
            raise CommandFailed(str(error)) from None

    count = with_store(work)
    if as_json:
        print_json({"count": count})
    else:
        say(f"{count_words(count)} now of the class {priority.value}.")
