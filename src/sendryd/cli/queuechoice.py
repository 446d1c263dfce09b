"""The deliveries that commands of `sendryd queue` choose: by an id, or by options."""

from dataclasses import dataclass, replace
from typing import Annotated, Final

import typer

from sendryd.app.build import Basics
from sendryd.cli.deliveries import delivery_word
from sendryd.cli.opening import CommandFailed, duration
from sendryd.cli.output import fail
from sendryd.model.delivery import DeliveryState
from sendryd.model.ids import DELIVERY_PREFIX, MESSAGE_PREFIX, DeliveryId, MessageId, parse_id
from sendryd.model.message import MessageStatus
from sendryd.policy.smarthost import parse_wanted
from sendryd.smtp.address import AddressError
from sendryd.store.base import QueueFilter

STATES: Final = (*(status.value for status in MessageStatus), "held")
Domain = Annotated[str | None, typer.Option(help="Only deliveries to this domain.")]
State = Annotated[str | None, typer.Option(help="Only deliveries in this state: held, or a status of the API.")]
OlderThan = Annotated[str | None, typer.Option(metavar="DURATION", help="Only deliveries accepted longer ago than this, for example 2h.")]
OptionalTarget = Annotated[str | None, typer.Argument(metavar="[ID]", help="A message (em_…) or one delivery (dlv_…).")]
Reason = Annotated[str, typer.Option(help="Why, for the audit; the reason of a hold is also shown with the mail.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Without a terminal nothing is asked.")]
# `queued` and `sending` are one state in the store; `sending` has had attempts.
HAS_ATTEMPTS: Final = {"queued": False, "sending": True}


def states_of(word: str | None) -> frozenset[DeliveryState] | None:
    """The states of a public word. `queued` and `sending` share one state; the number of attempts tells them apart."""
    if word is None:
        return None
    if word not in STATES:
        raise typer.BadParameter(f"--state is one of {', '.join(STATES)}")
    return frozenset(state for state in DeliveryState for attempts in (0, 1) if delivery_word(state, attempts) == word)


def destination_of(text: str | None) -> str | None:
    """The destination that --domain names, in the form that the store keeps. None without the option.

    Raises `BadParameter` if it is no domain. An empty value is none: else it would choose all mail.
    """
    if text is None:
        return None
    try:
        return parse_wanted(text.strip().removesuffix("."))
    except AddressError:
        raise typer.BadParameter(f"--domain: {text!r} is not a domain name such as example.com") from None


def filter_of(text: str) -> QueueFilter:
    """The filter of an id. Ends the command for what is none."""
    number = parse_id(text, MESSAGE_PREFIX)
    if number is not None:
        return QueueFilter(message_id=MessageId(number))
    number = parse_id(text, DELIVERY_PREFIX)
    if number is None:
        fail(f"{text} is neither the id of a message (em_…) nor of a delivery (dlv_…)")
    return QueueFilter(delivery_id=DeliveryId(number))


@dataclass(frozen=True, slots=True)
class Choice:
    """The deliveries that a command changes, and why."""

    target: str | None
    domain: str | None
    state: str | None
    older_than: str | None
    reason: str

    @property
    def is_empty(self) -> bool:
        """Whether it names no deliveries."""
        return self.target is self.domain is self.state is self.older_than is None

    @property
    def words(self) -> str:
        """What the audit calls the deliveries that options have chosen: the domain, or the options."""
        named = (("--domain", self.domain), ("--state", self.state), ("--older-than", self.older_than))
        given = [(option, value) for option, value in named if value is not None]
        return (
            destination_of(self.domain) or ""
            if len(given) == 1 and self.domain
            else " ".join(f"{option} {value}" for option, value in given)
        )

    def check(self) -> None:
        """Raises `BadParameter` where nothing is chosen, or for an option of another form."""
        if self.is_empty:
            raise typer.BadParameter("name a message or a delivery, or choose with --domain, --state or --older-than")
        destination_of(self.domain)
        states_of(self.state)
        duration(self.older_than)

    async def find(self, basics: Basics) -> QueueFilter:
        """The filter of the chosen deliveries. Raises `CommandFailed` for an id that no delivery has."""
        which, age = filter_of(self.target) if self.target is not None else QueueFilter(), duration(self.older_than)
        if self.target is not None and not await basics.store.list_queue(which, limit=1):
            raise CommandFailed(f"there is no {self.target}")
        return replace(
            which,
            toward=destination_of(self.domain),
            states=states_of(self.state),
            has_attempts=HAS_ATTEMPTS.get(self.state or ""),
            created_before=basics.clock.now() - age if age is not None else None,
        )


def count_words(number: int) -> str:
    """`1 delivery`, `12 deliveries`."""
    return f"{number} {'delivery' if number == 1 else 'deliveries'}"
